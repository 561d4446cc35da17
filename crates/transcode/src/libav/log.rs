//! libav's messages: the last few are kept for error texts, and none of them reaches standard error. (Encoders that
//! don't use libav's log, such as SVT-AV1, still write there.)
//!
//! libav has one log for a process, so two runs at once share these lines. The server runs each plan in a process of its
//! own; tests and tools that don't may find another run's words in their errors.

use std::{
    collections::VecDeque,
    sync::{Mutex, Once, PoisonError},
};

use super::ffi;

const LINES: usize = 4;
/// Longest that a line becomes in an error text, in characters.
const LENGTH: usize = 200;

static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// From here on libav's warnings and errors come here.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffi::log_to(keep));
}

fn keep(line: &str) {
    let line = tidy(line);
    if line.is_empty() {
        return;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // A damaged file repeats the same complaint for each frame.
    if last.contains(&line) {
        return;
    }
    if last.len() == LINES {
        last.pop_front();
    }
    last.push_back(line);
}

/// One line, without the addresses of libav's objects (`[vp8 @ 0x55…]`), which make equal messages differ.
fn tidy(message: &str) -> String {
    let words = message.split_whitespace().filter(|word| *word != "@");
    let words = words.map(|word| if word.starts_with("0x") && word.ends_with(']') { "]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ").replace(" ]", "]");
    line.chars().take(LENGTH).collect()
}

/// The last messages in one line.
pub(crate) fn last_lines() -> String {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Forgets messages of an earlier run.
pub(crate) fn clear() {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_line_breaks_are_left_out() {
        let message = "[vp8 @ 0x55a27209a5c0] Upscaling at 0x12\nis not implemented\n";
        assert_eq!(tidy(message), "[vp8] Upscaling at 0x12 is not implemented");
        assert_eq!(tidy(&"x".repeat(1_000)).len(), LENGTH);
        assert_eq!(tidy(" \n"), "");
    }
}
