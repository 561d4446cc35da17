//! Traces by OTLP over gRPC. `OTEL_*` variables that the configuration does not name (headers, sampler, batch sizes)
//! are read by the exporter itself.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

use crate::config::Otel;

/// Sends spans in batches from its own thread; what the collector does not take in time is dropped.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Prepares to send to the configured endpoint; none without one. Has to be called within the runtime.
    ///
    /// # Errors
    /// The endpoint is no URL.
    pub fn start(otel: &Otel) -> Result<Option<Self>, ExporterBuildError> {
        let Some(endpoint) = &otel.endpoint else { return Ok(None) };
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let resource = Resource::builder().with_service_name(otel.service_name.clone()).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self { provider }))
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("webrtc-recorder")
    }

    /// Sends what is left. It blocks: not for the runtime's own threads.
    pub fn finish(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
