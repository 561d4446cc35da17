//! gRPC: one file for each service, and the only place where an error becomes a status.

mod ingest;
mod node_client;
mod recording;
mod server;
pub mod status;
mod webrtc;

pub use node_client::GrpcNodeClient;
pub use server::{GrpcSettings, SERVICES, serve};

use tonic::{Request, Response, Status};

use crate::{
    api::Api,
    auth::Caller,
    calls::{Calls, Method, Transport},
    error::ApiError,
};

/// Implements the services: each method passes its handler to [`Rpc::call`].
#[derive(Clone)]
struct Rpc {
    calls: Calls,
}

impl Rpc {
    async fn call<Q, A>(
        &self,
        method: Method,
        request: Request<Q>,
        handler: impl AsyncFnOnce(&Api, &Caller, Q) -> Result<A, ApiError>,
    ) -> Result<Response<A>, Status> {
        let (metadata, _, message) = request.into_parts();
        let headers = metadata.into_headers();
        let answer = self.calls.run(Transport::Grpc, method, &headers, message, handler).await;
        answer.map(Response::new).map_err(status::status)
    }
}
