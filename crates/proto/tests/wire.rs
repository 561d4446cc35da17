//! Messages of clients generated from the earlier service's proto. The bytes are written by hand from its table of field
//! numbers and types, independent of the generated code.

use prost::Message as _;
use proto::{
    storage::UploadFileChannel,
    webrtc_recorder::{
        IceServers, RenegotiateP2pVideoRequest, RenegotiateP2pVideoResponse, StopP2pVideoRequest,
        StopP2pVideoResponse, UploadP2pVideoRequest, UploadP2pVideoResponse,
    },
};

/// Key of a field: number, and wire type 0 (varint) or 2 (length and bytes).
fn key(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    [&[key(number, 2), length], content].concat()
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    vec![key(number, 0), value]
}

#[test]
fn an_upload_request_is_decoded_from_hand_written_bytes() {
    let server =
        [bytes(1, b"turn:a"), bytes(1, b"turn:b"), bytes(2, b"user"), varint(3, 1), bytes(4, b"\xff\x00")]
            .concat();
    let message =
        [bytes(1, b"v=0"), bytes(2, b"name"), bytes(3, b"uuid"), bytes(4, &server), varint(5, 9)].concat();
    let want = UploadP2pVideoRequest {
        sdp_offer: "v=0".into(),
        name: "name".into(),
        uuid: "uuid".into(),
        ice_servers: vec![IceServers {
            urls: vec!["turn:a".into(), "turn:b".into()],
            username: "user".into(),
            credential_type: 1,
            credential: b"\xff\x00".to_vec(),
        }],
        channel: UploadFileChannel::ScreenRecordingChannel.into(),
    };
    assert_eq!(UploadP2pVideoRequest::decode(message.as_slice()).unwrap(), want);
}

#[test]
fn the_other_requests_are_decoded_from_hand_written_bytes() {
    let stop = StopP2pVideoRequest::decode(bytes(1, b"id").as_slice()).unwrap();
    assert_eq!(stop.id, "id");
    let message = [bytes(1, b"id"), bytes(2, b"v=0")].concat();
    let renegotiate = RenegotiateP2pVideoRequest::decode(message.as_slice()).unwrap();
    assert_eq!((renegotiate.id.as_str(), renegotiate.sdp_offer.as_str()), ("id", "v=0"));
}

#[test]
fn responses_are_encoded_as_those_clients_decode_them() {
    let upload = UploadP2pVideoResponse { sdp_answer: "v=0".into(), id: "id".into() };
    assert_eq!(upload.encode_to_vec(), [bytes(1, b"v=0"), bytes(2, b"id")].concat());
    let renegotiate = RenegotiateP2pVideoResponse { sdp_answer: "v=0".into() };
    assert_eq!(renegotiate.encode_to_vec(), bytes(1, b"v=0"));
    assert!(StopP2pVideoResponse {}.encode_to_vec().is_empty());
}

#[test]
fn the_channels_have_the_numbers_of_the_earlier_service() {
    let names = [
        (0, "UnknownChannel"),
        (1, "ChatChannel"),
        (2, "MailChannel"),
        (3, "CallChannel"),
        (4, "LogChannel"),
        (5, "MediaChannel"),
        (6, "KnowledgebaseChannel"),
        (7, "CasesChannel"),
        (9, "ScreenRecordingChannel"),
    ];
    for (number, name) in names {
        assert_eq!(UploadFileChannel::try_from(number).unwrap().as_str_name(), name);
    }
    assert!(UploadFileChannel::try_from(8).is_err());
}
