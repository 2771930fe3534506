//! Progress bars and remarks on stderr; the result is the caller's to print.

use std::io::{self, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a bar over `total` steps, which is drawn on a terminal and nowhere else: a script's log stays
/// clean.
pub(crate) fn progress_bar(total: usize, label: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {eta}");
    let bar = ProgressBar::new(total as u64).with_style(style.expect("the template is well-formed"));
    bar.with_prefix(label)
}

/// Writes one line on stderr.
pub(crate) fn remark(text: &str) {
    // If stderr is closed nobody can be told.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Returns the beginning of a text, on one line.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= chars_max {
        return text;
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}
