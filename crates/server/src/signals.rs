//! SIGTERM and SIGINT.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that was told twice.
const TOLD_TWICE: i32 = 130;

/// Catches the signals from here on. What is returned is ready at the first; the second ends the process at once,
/// leaving what is in the spool to the next start.
///
/// # Errors
/// The system refuses a handler.
pub fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (said, heard) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut said = Some(said);
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            let Some(first) = said.take() else {
                tracing::warn!(signal = name, "told again to stop: ending at once");
                std::process::exit(TOLD_TWICE);
            };
            tracing::info!(signal = name, "told to stop");
            let _ = first.send(());
        }
    });
    Ok(async move {
        let _ = heard.await;
    })
}
