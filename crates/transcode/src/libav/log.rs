//! libav's messages: the last few are kept for error texts, and nothing reaches standard error.
//!
//! libav has one log for a process, so two runs at once share these lines. In the server each run has its own process.

use std::{
    collections::VecDeque,
    sync::{Mutex, Once, PoisonError},
};

use super::ffi;

const LINES: usize = 8;

static LAST: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// From here on libav's warnings and errors come here.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffi::log_to(keep));
}

fn keep(line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    // A damaged file repeats the same complaint for each frame.
    if last.back().is_some_and(|previous| previous == line) {
        return;
    }
    if last.len() == LINES {
        last.pop_front();
    }
    last.push_back(line.to_owned());
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
