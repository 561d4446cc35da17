//! How far an upload is.

use std::time::Duration;

use model::{Progress, Recording};
use store::{LeasedJob, StoreError};
use tokio::{sync::watch, time::Instant};

use crate::dispatch::Context;

/// How often it is written down, at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Writes down how far an upload is as the store confirms bytes of it: first what it has before any is sent. Of an upload that
/// is over at once nothing is written. Returns when the lease is lost.
pub(crate) async fn tell(
    context: &Context,
    leased: &LeasedJob,
    recording: &Recording,
    mut confirmed: watch::Receiver<u64>,
) -> StoreError {
    changed(&mut confirmed).await;
    let (mut since, mut before) = (Instant::now(), *confirmed.borrow_and_update());
    tokio::time::sleep(TELL_EVERY).await;
    loop {
        let (now, bytes) = (Instant::now(), *confirmed.borrow_and_update());
        if bytes < before {
            // It is sent anew.
            (since, before) = (now, bytes);
        }
        let progress = progress(recording, before, bytes, now - since);
        match context.store.note_progress(leased, &progress).await {
            Err(lost @ StoreError::LeaseLost(_)) => return lost,
            Err(error) => tracing::debug!(%error, "progress is not written down"),
            Ok(()) => {}
        }
        tokio::time::sleep(TELL_EVERY).await;
        changed(&mut confirmed).await;
    }
}

async fn changed(confirmed: &mut watch::Receiver<u64>) {
    if confirmed.changed().await.is_err() {
        // Nothing more comes; the upload's own end is near.
        std::future::pending::<()>().await;
    }
}

/// With so many bytes there, of which those beyond `before` took so long.
fn progress(recording: &Recording, before: u64, bytes: u64, took: Duration) -> Progress {
    let whole = recording.bytes.max(1) as f64;
    let fraction = (bytes as f64 / whole).min(1.0);
    let sent = bytes.saturating_sub(before) as f64 / whole;
    if sent <= 0.0 || took.is_zero() {
        return Progress { fraction, speed: 0.0, remaining: None };
    }
    let wholes_a_second = sent / took.as_secs_f64();
    Progress {
        fraction,
        speed: recording.duration.as_secs_f64() * wholes_a_second,
        remaining: Duration::try_from_secs_f64((1.0 - fraction) / wholes_a_second).ok(),
    }
}
