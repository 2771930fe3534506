//! Which words of a tool are embedded, and how a query is put into the same words.

use toolweaver_contracts::{Tool, identifiers};

/// Counts the changes of [`passages`] and [`combine`]. It is part of every model's fingerprint, so that
/// vectors of two versions never meet in one collection. [`query`] is free to change: it only moves along
/// with cached query vectors.
pub const TEMPLATE_VERSION: u32 = 2;

/// Share of a tool's whole text in its vector; the rest is its name's.
const DOCUMENT_SHARE: f32 = 0.7;

/// Returns the texts that make up a tool's vector: its name in separate words with its description, and its
/// name alone.
///
/// Parameters stay out: they drown the purpose of a tool in the names of its fields. The name alone weighs in
/// because a request is short as names are, and a long description moves its text away from both.
pub fn passages(tool: &Tool) -> [String; 2] {
    passages_of(tool.tool_name.as_str(), &tool.description)
}

/// Combines the vectors of a tool's passages into its vector, of length 1.
pub fn combine([document, name]: [&[f32]; 2]) -> Vec<f32> {
    let mixed = document.iter().zip(name).map(|(d, n)| DOCUMENT_SHARE * d + (1.0 - DOCUMENT_SHARE) * n);
    let mut vector: Vec<f32> = mixed.collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    // Opposite passages cancel out in no model that is worth its name; the document alone is right even then.
    if length > f32::EPSILON {
        for x in &mut vector {
            *x /= length;
        }
        vector
    } else {
        document.to_vec()
    }
}

fn passages_of(name: &str, description: &str) -> [String; 2] {
    let words = identifiers::spaced(name);
    // A name without any letter or digit still says something to the model.
    let words = if words.is_empty() { name.to_owned() } else { words };
    match description.trim() {
        "" => [words.clone(), words],
        description => [format!("{words}. {description}"), words],
    }
}

/// Returns the text of a query: identifiers in it fall into the words that [`document`] makes of a name.
///
/// Without this, `createPullRequest` is one unknown word to the model, and does not find the tool of that
/// name. Plain words and punctuation stay as they are.
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
            assert_eq!(passages_of(name, description)[0], text);
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
            assert_eq!([query(name), query(name)], passages_of(name, ""));
        }
    }

    #[test]
    fn both_passages_are_in_the_vector_and_it_has_length_one() {
        let vector = combine([&[1.0, 0.0], &[0.0, 1.0]]);
        assert!(vector[0] > vector[1] && vector[1] > 0.0);
        assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(combine([&[0.6, 0.8], &[0.6, 0.8]]), [0.6, 0.8]);
    }
}
