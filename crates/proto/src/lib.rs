//! gRPC types and the descriptor set, generated from `/proto` at build time.
#![allow(missing_docs, clippy::all, clippy::pedantic, rust_2018_idioms)]

/// The encoded `FileDescriptorSet` of everything in `/proto`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// `package webrtc_recorder`: what existing clients call.
pub mod webrtc_recorder {
    tonic::include_proto!("webrtc_recorder");
}

/// `package storage`: purposes of stored files.
pub mod storage {
    tonic::include_proto!("storage");
}

/// `package google.api`: the HTTP mapping.
pub mod google {
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

/// `package recorder.v1`: recordings, live sessions, jobs, renditions, pushed audio.
pub mod recorder {
    pub mod v1 {
        tonic::include_proto!("recorder.v1");
    }
}
