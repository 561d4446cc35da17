//! The whole recorder, with inputs from a script of bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| media_fuzz::script(data));
