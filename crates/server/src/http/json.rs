//! Protobuf's JSON mapping (proto3): writes lowerCamelCase, reads both spellings, bytes as base64, enums by name or
//! number. Errors are `google.rpc.Status`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use prost::{Message, Name};
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::{descriptors::POOL, error::ApiError, grpc::status::rpc_status};

fn descriptor(name: &str) -> Result<MessageDescriptor, ApiError> {
    POOL.get_message_by_name(name)
        .ok_or_else(|| ApiError::Internal(format!("message {name} is not among the descriptors")))
}

/// Parses a message. An empty body is an empty message.
pub(super) fn parse<T: Message + Name + Default>(body: &[u8]) -> Result<T, ApiError> {
    let name = T::full_name();
    let descriptor = descriptor(&name)?;
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    // Existing clients call through a gateway that ignores unknown fields.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let bad = |error: serde_json::Error| {
        ApiError::invalid("body", format!("is not valid JSON for this message: {error}"))
    };
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options).map_err(bad)?;
    json.end().map_err(bad)?;
    message
        .transcode_to()
        .map_err(|error| ApiError::Internal(format!("a message of {name} does not fit its type: {error}")))
}

/// Serializes a message of the given full name. Fields with default values are written too.
fn write<T: Message>(name: &str, message: &T) -> Result<Vec<u8>, ApiError> {
    let fail = |error: &dyn std::fmt::Display| ApiError::Internal(format!("can't write {name}: {error}"));
    let mut dynamic = DynamicMessage::new(descriptor(name)?);
    dynamic.transcode_from(message).map_err(|error| fail(&error))?;
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    dynamic.serialize_with_options(&mut json, &options).map_err(|error| fail(&error))?;
    Ok(json.into_inner())
}

/// The HTTP response of a call.
pub(super) fn response<T: Message + Name>(result: Result<T, ApiError>) -> Response {
    match result.and_then(|message| write(&T::full_name(), &message)) {
        Ok(body) => (StatusCode::OK, json_headers(), body).into_response(),
        Err(error) => error_response(error),
    }
}

/// The HTTP response of a failed call.
pub(super) fn error_response(error: ApiError) -> Response {
    let status = rpc_status(error);
    let body = write("google.rpc.Status", &status).unwrap_or_else(|_| b"{\"code\":13}".to_vec());
    let mut headers = json_headers();
    if status.code == 16 {
        headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    (http_code(status.code), headers, body).into_response()
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"))])
}

/// The HTTP status of a gRPC code, as documented in `google.rpc.Code`.
fn http_code(code: i32) -> StatusCode {
    let code = match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    };
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use proto::webrtc_recorder::{IceServers, UploadP2pVideoRequest, UploadP2pVideoResponse};
    use serde_json::{Value, json};

    use super::*;

    fn upload(body: &Value) -> Result<UploadP2pVideoRequest, ApiError> {
        parse(body.to_string().as_bytes())
    }

    #[test]
    fn both_spellings_of_a_field_are_read() {
        for body in [json!({"sdp_offer": "v=0"}), json!({"sdpOffer": "v=0"})] {
            assert_eq!(upload(&body).unwrap().sdp_offer, "v=0");
        }
    }

    #[test]
    fn enums_are_read_by_name_and_by_number_and_bytes_as_base64() {
        for channel in [json!("CallChannel"), json!(3)] {
            assert_eq!(upload(&json!({ "channel": channel })).unwrap().channel, 3);
        }
        let body =
            json!({"iceServers": [{"urls": ["stun:a"], "credentialType": 1, "credential": "c2VjcmV0"}]});
        let want = IceServers {
            urls: vec!["stun:a".to_owned()],
            credential: b"secret".to_vec(),
            credential_type: 1,
            ..Default::default()
        };
        assert_eq!(upload(&body).unwrap().ice_servers, [want]);
    }

    #[test]
    fn unknown_fields_are_ignored_and_wrong_types_are_refused() {
        assert!(upload(&json!({"future": 1, "channel": "FutureChannel"})).is_ok());
        for bad in [json!({"name": 1}), json!([]), json!("x")] {
            assert!(matches!(upload(&bad), Err(ApiError::Invalid(_))), "{bad}");
        }
        assert!(matches!(parse::<UploadP2pVideoRequest>(b"{} {}"), Err(ApiError::Invalid(_))));
    }

    #[test]
    fn a_response_is_written_in_lower_camel_case() {
        let message = UploadP2pVideoResponse { sdp_answer: "v=0".to_owned(), id: "1".to_owned() };
        let body = write("webrtc_recorder.UploadP2PVideoResponse", &message).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"sdpAnswer": "v=0", "id": "1"}));
    }

    #[tokio::test]
    async fn an_error_is_a_google_rpc_status_with_details() {
        let response = error_response(ApiError::invalid("id", "must be a UUID"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], 3);
        assert_eq!(body["message"], "id: must be a UUID");
        let details = body["details"].as_array().unwrap();
        let bad = details
            .iter()
            .find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.BadRequest")
            .unwrap();
        assert_eq!(bad["fieldViolations"][0]["field"], "id");
    }
}
