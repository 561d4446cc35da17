//! Any bytes as a decrypted RTCP compound and as an RTP packet.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    peer::fuzzing::parse_rtcp(bytes);
    peer::fuzzing::parse_rtp(bytes);
    peer::fuzzing::filter_dtls(bytes);
});
