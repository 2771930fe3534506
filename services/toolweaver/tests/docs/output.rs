//! Output as a page shows it against output as it is.

/// Returns the first shown line that does not come in the output, in its place.
///
/// A number stands for any number, `…` for anything, and lines without a letter or digit, such as the rules
/// of a table, for nothing: a page shows one run, and the next one takes another time.
pub(crate) fn first_missing<'a>(shown: &[&'a str], output: &str) -> Option<&'a str> {
    let mut lines = output.lines().map(normalised);
    shown.iter().copied().find(|line| {
        let pattern = normalised(line);
        pattern.chars().any(|c| c.is_alphanumeric() || c == '#') && !lines.any(|line| fits(&pattern, &line))
    })
}

/// Returns a line with single spaces, and `#` in place of numbers.
fn normalised(line: &str) -> String {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = line.replace(|c: char| c.is_ascii_digit(), "#");
    while let Some(run) = ["##", "#.#", "#,#"].into_iter().find(|run| text.contains(run)) {
        text = text.replace(run, "#");
    }
    text
}

/// Returns whether a line holds the pieces of a pattern, in order.
fn fits(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    pattern.split('…').all(|piece| rest.split_once(piece).map(|(_, behind)| rest = behind).is_some())
}

#[test]
fn numbers_differ_and_words_do_not() {
    let output = "done in 0.25 s\n────\n1  a.tool  3.1  Does a thing\nversion 7, hybrid-4-00ff";
    let shown = ["done in 12 s", "----", "1 a.tool 2.754 Does …", "version 8, hybrid-4-…"];
    assert_eq!(first_missing(&shown, output), None);
    assert_eq!(first_missing(&["1 b.tool …"], output), Some("1 b.tool …"));
    assert_eq!(first_missing(&["version 7, hybrid-4-…", "done in 1 s"], output), Some("done in 1 s"));
}
