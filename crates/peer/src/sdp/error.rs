//! Why an offer is refused.

/// Why an offer is refused. A refused offer changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// It is not SDP, or it breaks a rule that we rely on.
    #[error("the offer is not usable: {0}")]
    Malformed(String),
    /// It is larger than the limit.
    #[error("the offer has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It has no section of audio, video or data that could send to us.
    #[error("the offer has no media section that sends")]
    NoMedia,
    /// No section has a codec that we accept.
    #[error("no codec in common: offered {offered}; supported {supported}")]
    NoCommonCodec {
        /// What was offered, comma-separated.
        offered: String,
        /// What would be accepted, comma-separated.
        supported: String,
    },
    /// The peer is closed.
    #[error("the peer is closed")]
    Closed,
}
