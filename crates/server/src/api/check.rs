//! Checks of requests, before a handler acts on them.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use model::{Channel, RecordingId, SessionId};
use proto::{
    storage::UploadFileChannel,
    webrtc_recorder::{IceServers, UploadP2pVideoRequest},
};

use super::{RequestLimits, record_recording_id, record_session_id};
use crate::error::{ApiError, FieldViolation};

/// Maximum of ICE servers in a request, and of URLs in a server.
const MAX_ICE_SERVERS: usize = 32;

/// Checks an upload. Returns its channel.
pub(super) fn upload(request: &UploadP2pVideoRequest, limits: RequestLimits) -> Result<Channel, ApiError> {
    let mut violations = Vec::new();
    offer(&request.sdp_offer, limits, &mut violations);
    text("name", &request.name, limits, &mut violations);
    text("uuid", &request.uuid, limits, &mut violations);
    ice_servers(&request.ice_servers, &mut violations);
    let channel = channel(request.channel);
    if channel.is_none() {
        violations
            .push(FieldViolation::new("channel", format!("{} is not an UploadFileChannel", request.channel)));
    }
    match channel {
        Some(channel) if violations.is_empty() => Ok(channel),
        _ => Err(ApiError::Invalid(violations)),
    }
}

pub(super) fn offer(offer: &str, limits: RequestLimits, violations: &mut Vec<FieldViolation>) {
    if offer.trim().is_empty() {
        violations.push(FieldViolation::new("sdp_offer", "is empty"));
    } else if offer.len() > limits.offer_bytes {
        let problem = format!("has {} bytes, more than the {} allowed", offer.len(), limits.offer_bytes);
        violations.push(FieldViolation::new("sdp_offer", problem));
    }
}

pub(super) fn text(field: &str, value: &str, limits: RequestLimits, violations: &mut Vec<FieldViolation>) {
    if value.len() > limits.name_bytes {
        let problem = format!("has {} bytes, more than the {} allowed", value.len(), limits.name_bytes);
        violations.push(FieldViolation::new(field, problem));
    } else if value.contains('\0') {
        // Postgres does not store U+0000 in text.
        violations.push(FieldViolation::new(field, "contains the character U+0000"));
    }
}

/// Parses the `id` of a session, and names it in the call's span.
pub(super) fn session_id(id: &str) -> Result<SessionId, ApiError> {
    let id = uuid("id", id)?;
    record_session_id(id);
    Ok(id)
}

/// Parses the id of a recording, and names it in the call's span.
pub(super) fn recording_id(field: &'static str, id: &str) -> Result<RecordingId, ApiError> {
    let id = uuid(field, id)?;
    record_recording_id(id);
    Ok(id)
}

/// Parses an id.
pub(super) fn uuid<T: FromStr>(field: &'static str, id: &str) -> Result<T, ApiError> {
    id.parse().map_err(|_| ApiError::invalid(field, "must be a UUID"))
}

fn channel(number: i32) -> Option<Channel> {
    Some(match UploadFileChannel::try_from(number).ok()? {
        UploadFileChannel::UnknownChannel | UploadFileChannel::ScreenRecordingChannel => {
            Channel::ScreenRecording
        }
        UploadFileChannel::ChatChannel => Channel::Chat,
        UploadFileChannel::MailChannel => Channel::Mail,
        UploadFileChannel::CallChannel => Channel::Call,
        UploadFileChannel::LogChannel => Channel::Log,
        UploadFileChannel::MediaChannel => Channel::Media,
        UploadFileChannel::KnowledgebaseChannel => Channel::Knowledgebase,
        UploadFileChannel::CasesChannel => Channel::Cases,
    })
}

fn ice_servers(servers: &[IceServers], violations: &mut Vec<FieldViolation>) {
    if servers.len() > MAX_ICE_SERVERS {
        violations.push(FieldViolation::new("ice_servers", format!("are more than {MAX_ICE_SERVERS}")));
        return;
    }
    for (index, server) in servers.iter().enumerate() {
        if server.urls.len() > MAX_ICE_SERVERS {
            let field = format!("ice_servers[{index}].urls");
            violations.push(FieldViolation::new(field, format!("are more than {MAX_ICE_SERVERS}")));
            continue;
        }
        for (position, url) in server.urls.iter().enumerate() {
            if let Err(problem) = ice_url(url) {
                let field = format!("ice_servers[{index}].urls[{position}]");
                violations.push(FieldViolation::new(field, problem));
            }
        }
    }
}

/// `stun:host[:port]` (RFC 7064 §3.1), `turn:host[:port][?transport=udp|tcp]` (RFC 7065 §3.1).
fn ice_url(url: &str) -> Result<(), &'static str> {
    let (scheme, rest) = url.split_once(':').ok_or("has no scheme: stun, stuns, turn or turns")?;
    let (host, query) = match rest.split_once('?') {
        Some((host, query)) => (host, Some(query)),
        None => (rest, None),
    };
    match (scheme.to_ascii_lowercase().as_str(), query) {
        ("stun" | "stuns" | "turn" | "turns", None) => {}
        ("turn" | "turns", Some("transport=udp" | "transport=tcp")) => {}
        ("turn" | "turns", Some(_)) => return Err("has a query that is not transport=udp or transport=tcp"),
        ("stun" | "stuns", Some(_)) => return Err("has a query, which a STUN URL can't have"),
        _ => return Err("has a scheme that is none of stun, stuns, turn, turns"),
    }
    let port = match host.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']').ok_or("has a bracket that is not closed")?;
            address.parse::<Ipv6Addr>().map_err(|_| "has no IPv6 address between its brackets")?;
            match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err("has text after its address that is not a port"),
            }
        }
        None => match host.split_once(':') {
            Some((name, port)) => {
                check_host(name)?;
                Some(port)
            }
            None => {
                check_host(host)?;
                None
            }
        },
    };
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        _ => Err("has a port that is not within 1 to 65535"),
    }
}

/// A host name or an IPv4 address.
fn check_host(host: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_address = host.parse::<IpAddr>().is_ok();
    if is_address || (!host.is_empty() && host.len() <= 253 && host.chars().all(allowed)) {
        Ok(())
    } else {
        Err("has no host name or address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits { name_bytes: 8, offer_bytes: 100 };

    fn fields(request: &UploadP2pVideoRequest) -> Vec<String> {
        match upload(request, LIMITS) {
            Ok(_) => Vec::new(),
            Err(ApiError::Invalid(violations)) => {
                violations.into_iter().map(|violation| violation.field).collect()
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn request() -> UploadP2pVideoRequest {
        UploadP2pVideoRequest { sdp_offer: "v=0".to_owned(), ..Default::default() }
    }

    #[test]
    fn ice_urls_of_the_two_rfcs_are_accepted() {
        for url in [
            "stun:stun.example.org",
            "stun:stun.example.org:3478",
            "stuns:example.org",
            "turn:192.0.2.1:3478?transport=udp",
            "turns:example.org?transport=tcp",
            "turn:[2001:db8::1]:3478",
            "STUN:example.org",
            "stun:[::1]",
        ] {
            assert_eq!(ice_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "example.org",
            "http://example.org",
            "stun:",
            "stun://example.org",
            "stun:example.org:0",
            "stun:example.org:65536",
            "stun:example.org:port",
            "stun:example.org?transport=udp",
            "turn:example.org?transport=sctp",
            "turn:[2001:db8::1",
            "turn:[example.org]",
            "turn:[::1]3478",
            "stun:exa mple.org",
        ] {
            assert!(ice_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_bad_ice_url_is_named_by_its_position() {
        let good = IceServers { urls: vec!["stun:a".to_owned(), "bad".to_owned()], ..Default::default() };
        let request = UploadP2pVideoRequest { ice_servers: vec![good], ..request() };
        assert_eq!(fields(&request), ["ice_servers[0].urls[1]"]);
    }

    #[test]
    fn every_field_that_is_too_large_is_named() {
        let long = "x".repeat(101);
        let request = UploadP2pVideoRequest {
            sdp_offer: long.clone(),
            name: long.clone(),
            uuid: long,
            channel: 8,
            ..Default::default()
        };
        assert_eq!(fields(&request), ["sdp_offer", "name", "uuid", "channel"]);
    }

    #[test]
    fn an_unknown_channel_becomes_a_screen_recording_and_a_call_stays_a_call() {
        for (number, want) in [
            (0, Channel::ScreenRecording),
            (3, Channel::Call),
            (7, Channel::Cases),
            (9, Channel::ScreenRecording),
        ] {
            let request = UploadP2pVideoRequest { channel: number, ..request() };
            assert_eq!(upload(&request, LIMITS).unwrap(), want);
        }
    }
}
