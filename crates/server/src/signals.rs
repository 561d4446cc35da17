//! SIGTERM and SIGINT.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Exit code after a second signal: 128 and the number of SIGINT.
const SECOND_SIGNAL: i32 = 130;

/// Installs the handlers. The returned future is ready at the first signal. A second signal exits the process at once; the
/// next start recovers the spool.
///
/// # Errors
/// The system refuses to install a handler.
pub fn stop_requested() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut sender = Some(sender);
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            let Some(first) = sender.take() else {
                tracing::warn!(signal = name, "second signal: exiting at once");
                std::process::exit(SECOND_SIGNAL);
            };
            tracing::info!(signal = name, "stop requested");
            let _ = first.send(());
        }
    });
    Ok(async move {
        let _ = receiver.await;
    })
}
