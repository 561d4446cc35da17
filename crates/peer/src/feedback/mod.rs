//! Feedback to the sender: missing packets, arrival times, reception quality, keyframe requests.

pub(crate) mod keyframe;
pub(crate) mod nack;
pub(crate) mod report;
pub(crate) mod transport_cc;
