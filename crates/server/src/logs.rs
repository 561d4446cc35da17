//! The log: level, format, destination; and the export of spans, if traces are configured.

use std::{fs::OpenOptions, io, sync::Mutex};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{config::Log, traces::Traces};

/// Third-party crates log at `info` what no operator needs. The trace exporter's own calls must not be traced.
const THIRD_PARTY: &str = "h2=warn,hyper=warn,tower=warn,sqlx=warn,aws=warn,rustls=warn,opentelemetry=warn";

/// Installs the log. `RUST_LOG`, if set, overrides the configured level.
///
/// # Errors
/// The log's file can't be opened.
pub fn start(log: &Log, traces: Option<&Traces>) -> io::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::new(text),
        _ => EnvFilter::new(format!("{},{THIRD_PARTY}", log.level.0)),
    };
    let file = match &log.file {
        Some(path) => Some(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)),
        None => None,
    };
    let lines = match (log.json, file) {
        (true, Some(file)) => fmt::layer::<Registry>().json().with_writer(file).boxed(),
        (true, None) => fmt::layer().json().with_writer(io::stderr).boxed(),
        (false, Some(file)) => fmt::layer().with_ansi(false).with_writer(file).boxed(),
        (false, None) => {
            let ansi = io::IsTerminal::is_terminal(&io::stderr());
            fmt::layer().with_ansi(ansi).with_writer(io::stderr).boxed()
        }
    };
    let spans = traces.map(|traces| {
        let exported = EnvFilter::new(format!("info,{THIRD_PARTY}"));
        tracing_opentelemetry::layer().with_tracer(traces.tracer()).with_filter(exported)
    });
    // Fails if the process has a subscriber already, as in tests. The first one stays.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    Ok(())
}
