//! gRPC: one file a service, and the one place where an error becomes a status.

mod forward;
mod ingest;
mod pause;
mod recording;
mod server;
pub mod status;
mod webrtc;

pub use forward::Forwarder;
pub use ingest::IngestRpc;
pub use recording::RecordingRpc;
pub use server::{GrpcSettings, SERVICES, serve};
pub use webrtc::WebrtcRpc;
