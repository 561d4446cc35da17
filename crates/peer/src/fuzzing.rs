//! Parsers that lie behind authentication, for fuzzing alone.

use std::hint::black_box;

use crate::{dtls, header, rtcp};

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
    if let Some(header) = header::Header::parse(bytes) {
        black_box(header.extensions().count());
        let payload = bytes.get(header.length..).unwrap_or_default();
        let unpadded = header::unpadded_length(payload, header.padding);
        assert!(unpadded.is_none_or(|length| length <= payload.len()));
    }
}

/// Filters a datagram in each state of the handshake.
pub fn filter_dtls(bytes: &[u8]) {
    let mut filter = dtls::Filter::new();
    assert!(filter.admit(bytes, false).len() <= bytes.len());
    while let Some(record) = filter.take_early() {
        assert!(record.len() <= bytes.len());
    }
    assert!(filter.admit(bytes, true).len() <= bytes.len());
    filter.handshake_completed("ECDHE-ECDSA-AES128-GCM-SHA256");
    assert!(filter.admit(bytes, true).len() <= bytes.len());
}
