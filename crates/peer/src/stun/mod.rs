//! STUN messages (RFC 8489), as far as ICE-lite needs them: parses binding requests, writes responses.

use std::net::SocketAddr;

use rtc_crypto::RTCCrypto;
use rtc_stun::{
    attributes::{
        ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME,
    },
    error_code::CODE_ROLE_CONFLICT,
    fingerprint::{FINGERPRINT, fingerprint_value},
    integrity::MessageIntegrity,
    message::{
        BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, MAGIC_COOKIE, Message, Setter, TransactionId,
    },
    xoraddr::XorMappedAddress,
};

const HEADER_LENGTH: usize = 20;
const INTEGRITY_LENGTH: usize = 20;

/// A well-formed binding request. Its integrity is not checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BindingRequest<'a> {
    pub(crate) transaction_id: [u8; 12],
    pub(crate) username: &'a str,
    pub(crate) use_candidate: bool,
    /// The client claims to be the controlled side, as we are.
    pub(crate) controlled: bool,
    /// The message up to and including its MESSAGE-INTEGRITY.
    signed: &'a [u8],
}

impl<'a> BindingRequest<'a> {
    /// None for anything but a binding request with USERNAME and MESSAGE-INTEGRITY. A FINGERPRINT has to be right.
    /// Attributes after MESSAGE-INTEGRITY are not authenticated, so they are not read (RFC 8489 §14.5).
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, _) = datagram.split_first_chunk::<HEADER_LENGTH>()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if u16::from_be_bytes([header[0], header[1]]) != BINDING_REQUEST.value()
            || u32::from_be_bytes([header[4], header[5], header[6], header[7]]) != MAGIC_COOKIE
            || !length.is_multiple_of(4)
            || datagram.len() != HEADER_LENGTH + length
        {
            return None;
        }
        let mut transaction_id = [0; 12];
        transaction_id.copy_from_slice(&header[8..]);
        let (mut username, mut signed) = (None, None);
        let (mut use_candidate, mut controlled) = (false, false);
        let mut offset = HEADER_LENGTH;
        while offset < datagram.len() {
            let (kind, value) = attribute(datagram, offset)?;
            if kind == ATTR_FINGERPRINT.0 {
                check_fingerprint(datagram, offset, value)?;
                break;
            }
            let end = offset + 4 + value.len().next_multiple_of(4);
            if signed.is_none() {
                match kind {
                    kind if kind == ATTR_USERNAME.0 => username = std::str::from_utf8(value).ok(),
                    kind if kind == ATTR_USE_CANDIDATE.0 => use_candidate = true,
                    kind if kind == ATTR_ICE_CONTROLLED.0 => controlled = true,
                    kind if kind == ATTR_MESSAGE_INTEGRITY.0 && value.len() == INTEGRITY_LENGTH => {
                        signed = datagram.get(..end);
                    }
                    _ => {}
                }
            }
            offset = end;
        }
        Some(Self { transaction_id, username: username?, use_candidate, controlled, signed: signed? })
    }

    /// Whether it was signed with this password.
    pub(crate) fn is_signed_with(&self, password: &str, crypto: &dyn RTCCrypto) -> bool {
        // The signature covers a header whose length ends at MESSAGE-INTEGRITY (RFC 8489 §14.5).
        let mut message = Message::new();
        let mut bytes = self.signed.to_vec();
        let Ok(length) = u16::try_from(bytes.len() - HEADER_LENGTH) else { return false };
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        message.unmarshal_binary(&bytes).is_ok()
            && MessageIntegrity::check(&mut message, password.as_bytes(), crypto).is_ok()
    }
}

/// The attribute at `offset`, a multiple of 4: its type and value without padding.
fn attribute(message: &[u8], offset: usize) -> Option<(u16, &[u8])> {
    let (head, rest) = message.get(offset..)?.split_first_chunk::<4>()?;
    let value = rest.get(..usize::from(u16::from_be_bytes([head[2], head[3]])))?;
    // The padding has to be present too.
    rest.get(..value.len().next_multiple_of(4))?;
    Some((u16::from_be_bytes([head[0], head[1]]), value))
}

/// FINGERPRINT is last (RFC 8489 §14.7).
fn check_fingerprint(message: &[u8], offset: usize, value: &[u8]) -> Option<()> {
    let expected = fingerprint_value(message.get(..offset)?);
    (value == expected.to_be_bytes() && offset + 8 == message.len()).then_some(())
}

/// The success response, with the source address of the request as we see it.
pub(crate) fn binding_success(
    transaction_id: [u8; 12],
    source: SocketAddr,
    password: &str,
    crypto: &dyn RTCCrypto,
) -> Option<Vec<u8>> {
    let address = XorMappedAddress { ip: source.ip(), port: source.port() };
    respond(Box::new(BINDING_SUCCESS), transaction_id, Box::new(address), password, crypto)
}

/// The 487 response to a client that claims to be controlled (RFC 8445 §7.3.1.1): a lite agent can't be controlling.
pub(crate) fn role_conflict(
    transaction_id: [u8; 12],
    password: &str,
    crypto: &dyn RTCCrypto,
) -> Option<Vec<u8>> {
    respond(Box::new(BINDING_ERROR), transaction_id, Box::new(CODE_ROLE_CONFLICT), password, crypto)
}

fn respond(
    kind: Box<dyn Setter>,
    transaction_id: [u8; 12],
    attribute: Box<dyn Setter>,
    password: &str,
    crypto: &dyn RTCCrypto,
) -> Option<Vec<u8>> {
    let integrity = MessageIntegrity::new_raw_integrity_with_provider(password.as_bytes(), crypto);
    let mut message = Message::new();
    message
        .build(&[
            kind,
            Box::new(TransactionId(transaction_id)),
            attribute,
            Box::new(integrity),
            Box::new(FINGERPRINT),
        ])
        .ok()?;
    Some(message.raw)
}

/// Our user fragment in a STUN binding request, by which the caller routes datagrams from unknown addresses. None for
/// anything else.
#[must_use]
pub fn stun_ufrag(datagram: &[u8]) -> Option<&str> {
    BindingRequest::parse(datagram)?.username.split_once(':').map(|(ours, _)| ours)
}

#[cfg(test)]
mod tests;
