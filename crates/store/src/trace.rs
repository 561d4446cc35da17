//! Spans and events of queries, for both back ends.

use std::time::Instant;

use tracing::{Instrument as _, Span, debug};

use crate::StoreError;

/// The target of all spans and events of the database, whichever back end runs: `RUST_LOG=store=debug` shows them.
pub const TARGET: &str = "store";

/// The span of a query, at level DEBUG: its name, such as `"db.job.lease"`, then its fields.
#[macro_export]
macro_rules! query_span {
    ($name:literal $(, $($fields:tt)+)?) => {
        ::tracing::debug_span!(target: $crate::TARGET, $name $(, $($fields)+)?)
    };
}

/// Runs a query in its span, with one event at its end: how long it took, and its error if it failed.
///
/// The error is an event at level DEBUG: the caller that handles it logs it.
///
/// # Errors
/// The error of `query`.
pub async fn traced<T, E: Into<StoreError>>(
    span: Span,
    query: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    // Each layer around a future would add its size again.
    let query = Box::pin(query);
    let run = async {
        let begun = Instant::now();
        let result = query.await.map_err(Into::into);
        let elapsed = begun.elapsed();
        match &result {
            Ok(_) => debug!(target: TARGET, ?elapsed, "query done"),
            Err(error) => debug!(target: TARGET, ?elapsed, %error, "query failed"),
        }
        result
    };
    run.instrument(span).await
}
