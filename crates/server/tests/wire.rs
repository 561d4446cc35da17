//! Messages of a client generated from the earlier service's proto. They are encoded by hand from the table of names and
//! numbers, independent of the generated code of this repository.

mod support;

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use support::{beep, config, driver, object, ok, played, sender, start, video};
use testkit::{recorder::Recorder, sender::SenderConfig, signal::Codec};
use tonic::{
    Code, Request, Status,
    codec::{Codec as GrpcCodec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A codec that passes encoded messages through.
#[derive(Default)]
struct Raw;

impl GrpcCodec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn call(recorder: &Recorder, method: &str, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut grpc = tonic::client::Grpc::new(recorder.channel());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/webrtc_recorder.WebRTCService/{method}");
    let path = ok(PathAndQuery::try_from(path), "the path");
    Ok(grpc.unary(Request::new(Bytes::from(message)), path, Raw).await?.into_inner())
}

fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// A field of wire type 2: a string, bytes or a message.
fn field(number: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    varint(number << 3 | 2, &mut out);
    varint(value.as_ref().len() as u64, &mut out);
    out.extend_from_slice(value.as_ref());
    out
}

/// A field of wire type 0: an integer or an enum.
fn number(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(number << 3, &mut out);
    varint(value, &mut out);
    out
}

/// The fields of wire type 2 in a message: all that responses have.
fn fields(mut message: &[u8]) -> Vec<(u8, String)> {
    let mut found = Vec::new();
    while let [tag, rest @ ..] = message {
        assert_eq!(tag & 7, 2, "a field of another wire type");
        let (mut length, mut shift, mut used) = (0usize, 0, 0);
        for byte in rest {
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (value, after) = rest[used..].split_at(length);
        found.push((tag >> 3, String::from_utf8_lossy(value).into_owned()));
        message = after;
    }
    found
}

fn ice_servers() -> Vec<u8> {
    let urls =
        [field(1, "stun:stun.example.org:3478"), field(1, "turn:turn.example.org?transport=udp")].concat();
    [urls, field(2, "user"), number(3, 0), field(4, [0xff, 0x00, 0x80])].concat()
}

#[tokio::test]
async fn hand_written_bytes_begin_renegotiate_and_stop_a_recording() {
    let (recorder, driver) = (start(config()).await, driver());
    let play_for = Some(Duration::from_secs(2));
    let session =
        sender(&driver, SenderConfig { play_for, ..SenderConfig::playing([video(Codec::Vp8), beep()]) })
            .await;

    let offer = ok(session.offer().await, "the offer");
    let upload = [
        field(1, offer),
        field(2, "a name"),
        field(3, "a correlation id"),
        field(4, ice_servers()),
        number(5, 9),
        // An unknown field is ignored.
        number(99, 1),
    ];
    let response = fields(&ok(call(&recorder, "UploadP2PVideo", upload.concat()).await, "UploadP2PVideo"));
    let [(1, answer), (2, id)] = response.as_slice() else {
        return assert_eq!(response, [(1, "an answer".to_owned()), (2, "an id".to_owned())]);
    };
    assert!(answer.starts_with("v=0\r\n") && answer.contains("a=candidate:"), "{answer}");
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id} is no UUID");
    ok(session.accept_answer(answer.clone()).await, "the answer");
    support::connected(&session).await;

    let more = ok(session.offer_more(video(Codec::Vp8)).await, "the second offer");
    let message = [field(1, id), field(2, more)].concat();
    let response = fields(&ok(call(&recorder, "RenegotiateP2PVideo", message).await, "RenegotiateP2PVideo"));
    let [(1, answer)] = response.as_slice() else {
        return assert_eq!(response, [(1, "an answer".to_owned())]);
    };
    ok(session.accept_answer(answer.clone()).await, "the second answer");

    played(&session, 60).await;
    let response = ok(call(&recorder, "StopP2PVideo", field(1, id)).await, "StopP2PVideo");
    assert!(response.is_empty());
    object(&recorder, id).await;
}

#[tokio::test]
async fn bytes_that_are_not_a_message_are_refused() {
    let recorder = start(config()).await;
    // A string field whose length exceeds the message.
    let refused = call(&recorder, "UploadP2PVideo", vec![0x0a, 0x7f, b'v']).await;
    let code = refused.map_or_else(|status| status.code(), |_| Code::Ok);
    assert!(matches!(code, Code::InvalidArgument | Code::Internal), "{code:?}");
}
