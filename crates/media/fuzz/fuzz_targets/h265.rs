//! One stream of one payload format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| media_fuzz::one_format(media::Codec::H265, data));
