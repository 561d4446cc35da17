//! The offer/answer exchange (RFC 3264, RFC 8829) of a side that only answers and only receives.
//!
//! `offer` parses into checked types, `negotiate` chooses what to accept, `answer` writes the answer.

mod answer;
mod attribute;
mod codec;
mod error;
mod negotiate;
mod offer;
#[cfg(test)]
mod tests;

pub(crate) use answer::{AnswerContext, write_answer};
pub(crate) use codec::Format;
pub use error::OfferError;
pub(crate) use negotiate::{MediaSection, Section, Session, negotiate};
pub(crate) use offer::{Fingerprint, Offer};
