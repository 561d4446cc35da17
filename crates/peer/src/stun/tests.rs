use rtc_crypto::{RTCCryptoProvider, providers::RingProvider};

use super::*;

/// RFC 5769 §2.1: the sample request, with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY and
/// FINGERPRINT; the padding of USERNAME is of spaces.
const SAMPLE_REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
    0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20,
    0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00,
    0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a,
    0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf,
    0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28,
    0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];
const SAMPLE_PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn is_signed(request: &BindingRequest<'_>, password: &str) -> bool {
    request.is_signed_with(password, RingProvider::new().crypto())
}

/// The sample with another length in its header, without FINGERPRINT.
fn without_fingerprint() -> Vec<u8> {
    let mut bytes = SAMPLE_REQUEST[..100].to_vec();
    bytes[3] -= 8;
    bytes
}

fn append(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

#[test]
fn the_sample_request_of_rfc_5769_is_read_and_its_integrity_checked() {
    let request = BindingRequest::parse(&SAMPLE_REQUEST).unwrap();
    assert_eq!(request.username, "evtj:h6vY");
    assert!(request.controlled && !request.use_candidate);
    assert!(is_signed(&request, SAMPLE_PASSWORD));
    assert!(!is_signed(&request, "VOkJxbRl1RmTxUk/WvJxBu"));
    assert_eq!(stun_ufrag(&SAMPLE_REQUEST), Some("evtj"));
    let bytes = without_fingerprint();
    assert!(is_signed(&BindingRequest::parse(&bytes).unwrap(), SAMPLE_PASSWORD));
}

#[test]
fn a_change_of_any_signed_bit_is_detected() {
    // Without FINGERPRINT, which would notice everything.
    let bytes = without_fingerprint();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        let accepted =
            BindingRequest::parse(&changed).is_some_and(|request| is_signed(&request, SAMPLE_PASSWORD));
        assert!(!accepted, "byte {index}");
    }
    // But for the type of FINGERPRINT: as another attribute behind MESSAGE-INTEGRITY it is ignored.
    for index in (0..SAMPLE_REQUEST.len()).filter(|index| ![100, 101].contains(index)) {
        let mut changed = SAMPLE_REQUEST;
        changed[index] ^= 0x10;
        assert_eq!(BindingRequest::parse(&changed), None, "byte {index}");
    }
}

#[test]
fn attributes_after_message_integrity_are_not_read() {
    let mut bytes = without_fingerprint();
    append(&mut bytes, 0x0025, &[]);
    append(&mut bytes, 0x0006, b"evil:evil");
    bytes.extend([0; 3]);
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let request = BindingRequest::parse(&bytes).unwrap();
    assert!(!request.use_candidate, "USE-CANDIDATE isn't signed");
    assert_eq!(request.username, "evtj:h6vY");
    assert!(is_signed(&request, SAMPLE_PASSWORD), "what is signed still is");
}

#[test]
fn a_cut_or_padded_message_is_not_a_request() {
    for length in 0..SAMPLE_REQUEST.len() {
        assert_eq!(BindingRequest::parse(&SAMPLE_REQUEST[..length]), None);
    }
    for attribute_length in [1, 3, 4, 0x100, 0xfff0, 0xffff_u16] {
        let mut bytes = SAMPLE_REQUEST;
        bytes[22..24].copy_from_slice(&attribute_length.to_be_bytes());
        let _ = BindingRequest::parse(&bytes);
    }
    // A response is none of ours to answer.
    let mut response = SAMPLE_REQUEST;
    response[0] = 1;
    assert_eq!(BindingRequest::parse(&response), None);
    assert_eq!(stun_ufrag(&[0; 20]), None);
}

#[test]
fn responses_are_signed_and_contain_the_address() {
    let provider = RingProvider::new();
    let source = "192.0.2.1:32853".parse().unwrap();
    let mut id = [0; 12];
    id.copy_from_slice(&SAMPLE_REQUEST[8..20]);
    let response = binding_success(id, source, SAMPLE_PASSWORD, provider.crypto()).unwrap();
    // XOR-MAPPED-ADDRESS as in RFC 5769 §2.2.
    assert_eq!(response[20..32], [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    let mut message = Message::new();
    message.unmarshal_binary(&response).unwrap();
    MessageIntegrity::check(&mut message, SAMPLE_PASSWORD.as_bytes(), provider.crypto()).unwrap();
    FINGERPRINT.check(&message).unwrap();
    let conflict = role_conflict(id, SAMPLE_PASSWORD, provider.crypto()).unwrap();
    assert_eq!(conflict[..2], [0x01, 0x11]);
    assert_eq!(conflict[26..28], [4, 87]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 20..200)) {
        bytes[..2].copy_from_slice(&[0, 1]);
        let length = u16::try_from(bytes.len() - 20).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        if let Some(request) = BindingRequest::parse(&bytes) {
            let _ = is_signed(&request, "password");
        }
    }
}
