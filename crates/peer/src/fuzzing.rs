//! Parsers that lie behind authentication, for fuzzing alone.

use std::hint::black_box;

use crate::{dtls, rtcp, rtp};

/// Reads all reports of a decrypted compound.
pub fn parse_rtcp(bytes: &[u8]) {
    for report in rtcp::reports(bytes) {
        if let rtcp::Report::Goodbye(sources) = report {
            black_box(rtcp::goodbye_ssrcs(sources).count());
        }
    }
}

/// Reads a header, its extensions and the padding behind it.
pub fn parse_rtp(bytes: &[u8]) {
    if let Some(header) = rtp::Header::parse(bytes) {
        black_box(header.extensions().count());
        let payload = bytes.get(header.length..).unwrap_or_default();
        let unpadded = rtp::unpadded_length(payload, header.padding);
        assert!(unpadded.is_none_or(|length| length <= payload.len()));
    }
}

/// Filters a datagram before and after completion.
pub fn filter_dtls(bytes: &[u8]) {
    let mut filter = dtls::Filter::new();
    assert!(filter.admit(bytes).len() <= bytes.len());
    filter.handshake_completed();
    assert!(filter.admit(bytes).len() <= bytes.len());
}
