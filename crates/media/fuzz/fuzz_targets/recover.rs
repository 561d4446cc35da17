//! Recovery of a file that was damaged, and of anything else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| media_fuzz::recover(data));
