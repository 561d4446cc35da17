//! Recovery of a damaged recording, and of any other bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| media_fuzz::recover(data));
