//! The role of a text, and the prefix that some models want before it.

/// The role for which a text is embedded. Some models are trained to tell the two apart by a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Somebody asks it.
    Query,
    /// It is there to be found.
    Passage,
}

/// The prefix of a text, by its role. What is `None` is left to the model's folder; an empty prefix is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Prefixes {
    /// Put before every query, for example "query: " [default: as the model's folder says]
    #[arg(id = "query_prefix", long = "query-prefix", env = "TOOLWEAVER_QUERY_PREFIX", value_name = "TEXT")]
    pub query: Option<String>,

    /// Put before every tool's text, for example "passage: "; another one means another index [default: as
    /// the model's folder says]
    #[arg(
        id = "passage_prefix",
        long = "passage-prefix",
        env = "TOOLWEAVER_PASSAGE_PREFIX",
        value_name = "TEXT"
    )]
    pub passage: Option<String>,
}

impl Prefixes {
    /// Returns the prefix of `role`; empty where there is none.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.query,
            Role::Passage => &self.passage,
        }
        .as_deref()
        .unwrap_or_default()
    }

    /// Returns these prefixes, and those of `others` where they leave one open.
    #[must_use]
    pub fn or(&self, others: Self) -> Self {
        Self { query: self.query.clone().or(others.query), passage: self.passage.clone().or(others.passage) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_goes_before_what_the_folder_says_even_if_it_is_empty() {
        let folder = Prefixes { query: Some("q: ".to_owned()), passage: Some("p: ".to_owned()) };
        let set = Prefixes { query: Some(String::new()), passage: None }.or(folder);
        assert_eq!((set.of(Role::Query), set.of(Role::Passage)), ("", "p: "));
        assert_eq!(Prefixes::default().of(Role::Passage), "");
    }
}
