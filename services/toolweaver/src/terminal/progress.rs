//! Progress bars on stderr, on a terminal only: a script's log stays clean.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Returns a bar over something of known size, or a spinner where the size is not known.
pub(crate) fn bar(total: Option<u64>, label: &'static str) -> ProgressBar {
    // The default target draws on a terminal and nowhere else.
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{prefix} {wide_bar} {percent}% {msg} {eta}",
        None => "{prefix} {spinner} {msg}",
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    bar.set_prefix(label);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
