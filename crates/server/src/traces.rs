//! Traces by OTLP over gRPC. `OTEL_*` variables that the configuration does not name (headers, sampler, batch sizes)
//! are read by the exporter itself.

use http::HeaderMap;
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

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

/// Makes a span the child of the caller's, where the call's headers name it (W3C Trace Context: `traceparent`).
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    struct Headers<'a>(&'a HeaderMap);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }
        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(http::HeaderName::as_str).collect()
        }
    }
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // Without a tracer there is nothing that the parent could be told to.
    let _ = span.set_parent(parent);
}
