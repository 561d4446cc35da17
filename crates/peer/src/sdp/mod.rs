//! The offer/answer exchange (RFC 3264, RFC 8829), from the side that only ever answers and only receives.
//!
//! `offer` parses into checked types, `negotiate` chooses what is accepted, `answer` writes it down.

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
