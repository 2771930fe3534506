//! Reader of the metrics and labels that a PromQL expression names. Its validity is promtool's to say.

use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

/// Metric of an expression, with the matchers in its braces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

/// Names in an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) selectors: Vec<Selector>,
    pub(crate) grouped: Vec<Grouped>,
    /// Labels in other lists, such as `on (…)`.
    pub(crate) listed: Vec<String>,
}

/// Label in `by (…)` in front of parentheses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grouped {
    pub(crate) label: String,
    /// Places in `selectors` of the metrics in the parentheses.
    pub(crate) inside: Range<usize>,
    /// True where the metrics lend each other labels, by `on (…)`: then not all have it.
    pub(crate) joined: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    /// Operators and parentheses. Numbers, durations and ranges name nothing and are left out.
    Sign(String),
}

/// Words before a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that are neither metrics nor functions.
const KEYWORDS: [&str; 10] = ["and", "or", "unless", "bool", "offset", "atan2", "start", "end", "inf", "nan"];
/// Functions whose name may stand before a list of labels instead of a parenthesis.
const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];

/// Reads the names in an expression.
pub(crate) fn names(expression: &str) -> Names {
    let mut reader = Reader { tokens: tokens(expression).into_iter().peekable(), names: Names::default() };
    reader.read();
    reader.names
}

struct Reader {
    tokens: Peekable<IntoIter<Token>>,
    names: Names,
}

impl Reader {
    /// Reads up to the parenthesis that closes what was open, or to the end.
    fn read(&mut self) {
        while let Some(token) = self.tokens.next() {
            match token {
                Token::Sign(sign) if sign == "(" => self.read(),
                Token::Sign(sign) if sign == ")" => return,
                // Without a name, which no metric has: whoever compares finds it missing.
                Token::Sign(sign) if sign == "{" => {
                    let matchers = self.matchers();
                    self.names.selectors.push(Selector { metric: String::new(), matchers });
                }
                Token::Word(word) => self.word(word),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: String) {
        if LISTS.contains(&word.as_str()) {
            let labels = self.list();
            if word == "by" && self.next_is("(") {
                self.tokens.next();
                let (first, listed) = (self.names.selectors.len(), self.names.listed.len());
                self.read();
                let inside = first..self.names.selectors.len();
                let joined = self.names.listed.len() > listed;
                let grouped = |label| Grouped { label, inside: inside.clone(), joined };
                self.names.grouped.extend(labels.into_iter().map(grouped));
            } else {
                self.names.listed.extend(labels);
            }
        } else if !KEYWORDS.contains(&word.to_lowercase().as_str())
            && !AGGREGATIONS.contains(&word.as_str())
            && !self.next_is("(")
        {
            let matchers = if self.next_is("{") { self.matchers() } else { Vec::new() };
            self.names.selectors.push(Selector { metric: word, matchers });
        }
    }

    fn next_is(&mut self, sign: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Sign(next)) if next == sign)
    }

    /// The labels of a list; none where `group_left` stands without one.
    fn list(&mut self) -> Vec<String> {
        if !self.next_is("(") {
            return Vec::new();
        }
        let until_closed = self.tokens.by_ref().take_while(|token| *token != Token::Sign(")".to_owned()));
        until_closed
            .filter_map(|token| if let Token::Word(label) = token { Some(label) } else { None })
            .collect()
    }

    fn matchers(&mut self) -> Vec<Matcher> {
        let mut inside = self.tokens.by_ref().take_while(|token| *token != Token::Sign("}".to_owned()));
        let mut matchers = Vec::new();
        while let Some(token) = inside.next() {
            let Token::Word(label) = token else { continue };
            if let (Some(Token::Sign(operator)), Some(Token::Text(value))) = (inside.next(), inside.next()) {
                matchers.push(Matcher { label, operator, value });
            }
        }
        matchers
    }
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut characters = expression.chars().peekable();
    while let Some(first) = characters.next() {
        match first {
            '"' | '\'' | '`' => {
                let mut text = String::new();
                while let Some(next) = characters.next().filter(|next| *next != first) {
                    let escaped = next == '\\' && first != '`';
                    text.extend(if escaped { characters.next() } else { Some(next) });
                }
                tokens.push(Token::Text(text));
            }
            '#' => while characters.next().is_some_and(|next| next != '\n') {},
            // A range holds a duration, or a variable that is one.
            '[' => while characters.next().is_some_and(|next| next != ']') {},
            _ if first.is_ascii_alphanumeric() || matches!(first, '_' | ':' | '.' | '$') => {
                let mut word = String::from(first);
                while let Some(next) =
                    characters.next_if(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | ':' | '.'))
                {
                    word.push(next);
                }
                // Else a number, a duration, or a variable that is one.
                if first.is_ascii_alphabetic() || matches!(first, '_' | ':') {
                    tokens.push(Token::Word(word));
                }
            }
            _ if first.is_whitespace() => {}
            _ => {
                let mut sign = String::from(first);
                if matches!(first, '=' | '!' | '<' | '>') {
                    sign.extend(characters.next_if(|next| matches!(next, '=' | '~')));
                }
                tokens.push(Token::Sign(sign));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(expression: &str) -> Vec<String> {
        names(expression).selectors.into_iter().map(|selector| selector.metric).collect()
    }

    fn matcher(label: &str, operator: &str, value: &str) -> Matcher {
        let [label, operator, value] = [label, operator, value].map(str::to_owned);
        Matcher { label, operator, value }
    }

    #[test]
    fn functions_keywords_and_numbers_are_no_metrics() {
        let query =
            "histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m]))) > 1e3 and on () vector(1) offset 5m";
        assert_eq!(metrics(query), ["a_bucket"]);
        assert_eq!(metrics("a offset 1d unless b or -c * bool d # e"), ["a", "b", "c", "d"]);
        assert_eq!(metrics("sum(a) / count(b == 0) and job:c:rate5m > NaN"), ["a", "b", "job:c:rate5m"]);
        assert_eq!(metrics("rate(a[$__rate_interval]) > $limit"), ["a"]);
    }

    #[test]
    fn matchers_are_read_with_their_operators_and_quotes() {
        let names = names(r#"a{b="c", d!~'e|f\'}', g=~`h\d`,} + {i="j"}"#);
        let expected = [matcher("b", "=", "c"), matcher("d", "!~", "e|f'}"), matcher("g", "=~", r"h\d")];
        assert_eq!(names.selectors[0].matchers, expected);
        let nameless = Selector { metric: String::new(), matchers: vec![matcher("i", "=", "j")] };
        assert_eq!(names.selectors[1..], [nameless]);
    }

    fn grouped(label: &str, inside: Range<usize>, joined: bool) -> Grouped {
        Grouped { label: label.to_owned(), inside, joined }
    }

    #[test]
    fn a_list_before_parentheses_is_about_what_is_in_them() {
        let names =
            names("sum by (a, b) (rate(one[5m]) + max(two)) / on (c) group_left (d) sum(three) by (e)");
        assert_eq!(names.grouped, [grouped("a", 0..2, false), grouped("b", 0..2, false)]);
        assert_eq!(names.listed, ["c", "d", "e"]);
        assert_eq!(names.selectors[2].metric, "three");
    }

    #[test]
    fn nested_lists_end_where_their_parentheses_do() {
        let names = names("max by (a) (sum by (b) (one) and on (c) (two)) + three");
        assert_eq!(names.grouped, [grouped("b", 0..1, false), grouped("a", 0..2, true)]);
        assert_eq!(names.selectors.len(), 3);
    }
}
