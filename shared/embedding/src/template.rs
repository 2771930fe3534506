//! Which words of a tool are embedded, and how a query is put into the same words.

use toolweaver_contracts::{Tool, identifiers};

/// Counts the changes of [`document`]. It is part of every model's fingerprint, so that texts of two versions
/// never meet in one collection. [`query`] is free to change: it only moves along with cached query vectors.
pub const TEMPLATE_VERSION: u32 = 1;

/// The text of a tool: its name in separate words, then its description.
///
/// Parameters stay out: they drown the purpose of a tool in the names of its fields.
pub fn document(tool: &Tool) -> String {
    document_of(tool.tool_name.as_str(), &tool.description)
}

fn document_of(name: &str, description: &str) -> String {
    let words = identifiers::spaced(name);
    // A name without any letter or digit still says something to the model.
    let words = if words.is_empty() { name } else { &words };
    match description.trim() {
        "" => words.to_owned(),
        description => format!("{words}. {description}"),
    }
}

/// The text of a query: identifiers in it fall into the words that [`document`] makes of a name.
///
/// Without this, `createPullRequest` is one unknown word to the model, and does not find the tool of that name.
/// Plain words and punctuation stay as they are.
pub fn query(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(split_if_identifier).collect();
    words.join(" ")
}

fn split_if_identifier(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_alphanumeric());
    // Apostrophes, commas or CJK punctuation inside make it prose: don't, 画像、編集.
    let like_identifier = core.chars().all(|c| c.is_alphanumeric() || "_-./:\\".contains(c))
        && core.contains(|c: char| c.is_alphabetic());
    if core.is_empty() || !like_identifier {
        return word.to_owned();
    }
    word.replacen(core, &identifiers::spaced(core), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_the_split_name_and_the_description() {
        for (name, description, text) in [
            ("createPullRequest", "Opens a pull request.", "create Pull Request. Opens a pull request."),
            ("repos/list-for-org", "  ", "repos list for org"),
            ("画像生成", "画像を作る", "画像生成. 画像を作る"),
            ("++", "Adds.", "++. Adds."),
        ] {
            assert_eq!(document_of(name, description), text);
        }
    }

    #[test]
    fn a_query_keeps_prose_and_splits_identifiers() {
        for (query_text, text) in [
            ("createPullRequest", "create Pull Request"),
            ("what does pulls/list-reviews, do?", "what does pulls list reviews, do?"),
            ("(get_user_by_id)", "(get user by id)"),
            ("I don't know.  Really", "I don't know. Really"),
            ("about 3.5 percent", "about 3.5 percent"),
            ("画像、編集", "画像、編集"),
            ("?! 🎉", "?! 🎉"),
            ("", ""),
        ] {
            assert_eq!(query(query_text), text);
        }
    }

    #[test]
    fn a_name_asked_for_reads_like_the_name_embedded() {
        for name in ["createPullRequest", "repos/list_for-org", "S3.putObject"] {
            assert_eq!(query(name), document_of(name, ""));
        }
    }
}
