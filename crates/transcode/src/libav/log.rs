//! libav's messages. The last few are stored for error texts, and none is written to standard error. (Encoders that don't
//! use libav's log, such as SVT-AV1, still write there.)
//!
//! libav has one log per process, so two concurrent runs share these lines. The server runs each plan in its own process.
//! Errors of tests and tools that don't can contain messages of another run.

use std::{
    collections::VecDeque,
    sync::{Mutex, Once, PoisonError},
};

use super::ffi;

const LINES: usize = 4;
/// The longest line in an error text, in characters.
const LENGTH: usize = 200;

static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Stores libav's warnings and errors from now on.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffi::log_to(store));
}

fn store(line: &str) {
    let line = tidy(line);
    if line.is_empty() {
        return;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // A damaged file causes the same message for each frame.
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

/// Removes the messages of an earlier run.
pub(crate) fn clear() {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_line_breaks_are_removed() {
        let message = "[vp8 @ 0x55a27209a5c0] Upscaling at 0x12\nis not implemented\n";
        assert_eq!(tidy(message), "[vp8] Upscaling at 0x12 is not implemented");
        assert_eq!(tidy(&"x".repeat(1_000)).len(), LENGTH);
        assert_eq!(tidy(" \n"), "");
    }
}
