//! The split of an identifier into words. One rule for the embedded text, the lexical index and the query.

/// Returns the words of a text: runs of letters and digits, cut again where case says that a new word begins.
///
/// `createPullRequest`, `create_pull_request` and `repos/create-pull` all fall apart; `HTTPServer` gives
/// `HTTP` and `Server`; digits stay with the letters before them (`ec2Instances` gives `ec2` and
/// `Instances`). Slices keep their case.
pub fn split(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).flat_map(split_case).collect()
}

/// Returns the words of a text with single spaces between them.
pub fn spaced(text: &str) -> String {
    split(text).join(" ")
}

fn split_case(run: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = run.char_indices().collect();
    let mut words = Vec::new();
    let mut start = 0;
    for i in 1..chars.len() {
        let (at, c) = chars[i];
        let before = chars[i - 1].1;
        let ends_acronym =
            before.is_uppercase() && chars.get(i + 1).is_some_and(|(_, next)| next.is_lowercase());
        if c.is_uppercase() && (!before.is_uppercase() || ends_acronym) {
            words.push(&run[start..at]);
            start = at;
        }
    }
    words.push(&run[start..]);
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn falls_apart_at_case_and_punctuation() {
        for (text, words) in [
            ("createPullRequest", vec!["create", "Pull", "Request"]),
            ("repos/create-pull_request", vec!["repos", "create", "pull", "request"]),
            ("HTTPServerError", vec!["HTTP", "Server", "Error"]),
            ("ec2Instances", vec!["ec2", "Instances"]),
            ("listEC2Instances", vec!["list", "EC2", "Instances"]),
            ("S3", vec!["S3"]),
            ("plain words, here", vec!["plain", "words", "here"]),
            ("画像を生成", vec!["画像を生成"]),
            ("createÜbersicht", vec!["create", "Übersicht"]),
            ("..", vec![]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }
}
