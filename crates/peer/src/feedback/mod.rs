//! What a receiver tells the sender: what is missing, what arrived when, how well, and when to send a keyframe.

pub(crate) mod keyframe;
pub(crate) mod nack;
pub(crate) mod report;
pub(crate) mod transport_cc;
