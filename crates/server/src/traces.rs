//! Traces by OTLP over gRPC. The exporter itself reads the `OTEL_*` variables that are not configuration keys: headers,
//! sampler, batch sizes.

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

/// Sends spans in batches from its own thread. Spans that the collector does not accept in time are dropped.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Connects to the configured endpoint; None without one. Must be called within the tokio runtime.
    ///
    /// # Errors
    /// The endpoint is not a URL.
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

    /// Sends the remaining spans. It blocks: do not call it on a thread of the runtime.
    pub fn finish(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Makes the span a child of the caller's span, if the headers name one (W3C Trace Context, `traceparent`).
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
    // Fails if no tracer is installed: then no span is exported.
    let _ = span.set_parent(parent);
}
