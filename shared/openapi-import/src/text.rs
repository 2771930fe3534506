//! Plain text from Markdown: the words of a description, without the marks that only a renderer needs.

/// Block elements of HTML: they set their text apart from its neighbours.
const BLOCKS: [&str; 27] = [
    "blockquote",
    "br",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "summary",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];
/// Inline elements of HTML. What is in neither list is a placeholder, such as `<owner>`, and stays.
const INLINES: [&str; 16] = [
    "a", "b", "code", "del", "em", "font", "i", "kbd", "s", "small", "span", "strong", "sub", "sup", "tt",
    "u",
];
/// Deepest nesting of links and images that is resolved; deeper ones stay as they are written.
const NESTING_MAX: usize = 4;

/// Returns the text without Markdown and HTML marks, on one line.
///
/// Links keep their words and lose their addresses; emphasis, headings, quotes, bullets, fences and table
/// rules go.
pub(crate) fn plain(markdown: &str) -> String {
    let mut words = String::new();
    for line in markdown.lines() {
        let line = without_block_marks(line);
        let line = inline(line, NESTING_MAX);
        for word in line.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
    }
    words
}

/// Returns the text cut at a character boundary to at most `bytes_max` bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

fn without_block_marks(line: &str) -> &str {
    let mut line = line.trim();
    while let Some(quoted) = line.strip_prefix('>') {
        line = quoted.trim_start();
    }
    let is_rule =
        !line.is_empty() && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | '|' | ':' | ' '));
    if is_rule || line.starts_with("```") || line.starts_with("~~~") || line.starts_with("[!") {
        return "";
    }
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && (heading.is_empty() || heading.starts_with(' ')) {
        return heading.trim().trim_end_matches('#');
    }
    ["- ", "* ", "+ "].iter().find_map(|bullet| line.strip_prefix(bullet)).unwrap_or(line)
}

fn inline(line: &str, nesting_max: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (kept, used) = mark(rest, out.chars().next_back())
            .unwrap_or_else(|| (Kept::Text(&rest[..c.len_utf8()]), c.len_utf8()));
        match kept {
            Kept::Nothing => {}
            Kept::Inline(text) if nesting_max > 0 => out.push_str(&inline(text, nesting_max - 1)),
            Kept::Text(text) | Kept::Inline(text) => out.push_str(text),
        }
        rest = &rest[used..];
    }
    out
}

enum Kept<'a> {
    Nothing,
    Text(&'a str),
    /// To be looked through for marks in turn; always shorter than what it was taken from.
    Inline(&'a str),
}

/// Reads the mark that the text begins with: the text it leaves, and its length in bytes.
fn mark(rest: &str, before: Option<char>) -> Option<(Kept<'_>, usize)> {
    let after = |used: usize| rest[used..].chars().next();
    match rest.as_bytes()[0] {
        b'\\' => after(1).filter(char::is_ascii_punctuation).map(|_| (Kept::Text(&rest[1..2]), 2)),
        b'`' => Some((Kept::Nothing, 1)),
        b'|' => Some((Kept::Text(" "), 1)),
        b'*' if rest.starts_with("**") => Some((Kept::Nothing, 2)),
        // A star with space on both sides, or digits, multiplies; anything else is emphasis.
        b'*' => {
            let both = |is: fn(char) -> bool| before.is_none_or(is) && after(1).is_none_or(is);
            let multiplies = both(char::is_whitespace) || both(|c| c.is_ascii_digit());
            (!multiplies).then_some((Kept::Nothing, 1))
        }
        b'!' if rest.starts_with("![") => link(&rest[1..]).map(|(text, used)| (Kept::Inline(text), used + 1)),
        b'[' => link(rest).map(|(text, used)| (Kept::Inline(text), used)),
        b'<' => angle(rest),
        b'&' => {
            [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")]
                .into_iter()
                .find(|(entity, _)| rest.starts_with(entity))
                .map(|(entity, text)| (Kept::Text(text), entity.len()))
        }
        _ => None,
    }
}

/// Reads `[text](address)` or `[text][label]`: the text and the length of the whole link.
fn link(rest: &str) -> Option<(&str, usize)> {
    let mut open = 0;
    let end = rest.char_indices().find_map(|(i, c)| {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        (open == 0).then_some(i)
    })?;
    let target = &rest[end + 1..];
    let close = match target.chars().next()? {
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    Some((&rest[1..end], end + 1 + target.find(close)? + 1))
}

/// Reads a tag: `<p>`, `</a>`, `<!-- … -->` go; `<https://…>` keeps its address; `<owner>` is none of them.
fn angle(rest: &str) -> Option<(Kept<'_>, usize)> {
    let end = rest.find('>')?;
    let inside = &rest[1..end];
    if inside.starts_with("!--") {
        return rest.find("-->").map(|end| (Kept::Nothing, end + 3));
    }
    if inside.starts_with("http://") || inside.starts_with("https://") {
        return Some((Kept::Text(inside), end + 1));
    }
    let name: String =
        inside.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    // A space keeps the words of neighbouring cells and paragraphs apart.
    let kept = if BLOCKS.contains(&name.as_str()) { Kept::Text(" ") } else { Kept::Nothing };
    (matches!(kept, Kept::Text(_)) || INLINES.contains(&name.as_str())).then_some((kept, end + 1))
}

#[cfg(test)]
mod tests {
    use super::{cut, plain};

    #[test]
    fn marks_go_and_words_stay() {
        for (markdown, words) in [
            ("Lists **all** *public* `repos`.", "Lists all public repos."),
            ("See [the docs](https://example.com/a_b) now", "See the docs now"),
            ("See ![an image](x.png)[more][1]", "See an imagemore"),
            ("[**bold** link](/x) and [plain] brackets", "bold link and [plain] brackets"),
            ("> [!NOTE]\n> Needs a token.", "Needs a token."),
            ("# Title #\n\nText\n===\n", "Title Text"),
            ("- one\n* two\n+ three", "one two three"),
            ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
            ("```json\n{\"a\": 1}\n```", "{\"a\": 1}"),
            ("<p>Get <b>one</b><br/>of &lt;owner&gt; or <owner></p>", "Get one of <owner> or <owner>"),
            ("<!-- hidden --> seen <https://example.com>", "seen https://example.com"),
            ("snake_case_name and 2 * 3 and 2*3", "snake_case_name and 2 * 3 and 2*3"),
            ("\\*not emphasis\\*", "*not emphasis*"),
            ("unclosed [link and <tag and *", "unclosed [link and <tag and *"),
            ("画像を**生成**", "画像を生成"),
            ("", ""),
        ] {
            assert_eq!(plain(markdown), words, "{markdown}");
        }
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("aüb", 2), "a");
        assert_eq!(cut("aüb", 3), "aü");
        assert_eq!(cut("ab", 10), "ab");
    }
}
