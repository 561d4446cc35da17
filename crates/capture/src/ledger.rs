//! The database, as live sessions use it.

use model::{Recording, SessionId, TenantId};

/// The database did not commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// Commits the beginning and the end of live sessions.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// A session begins. If this fails, the session is refused.
    async fn began(&self, recording: &Recording) -> Result<(), LedgerError>;

    /// A live session was paused (state PAUSED) or resumed (state RECORDING). Changes nothing for a finalized session,
    /// nor when repeated.
    async fn paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), LedgerError>;

    /// A recording's file is finished and durable at `<spool>/<id>/<id>.<extension>`. Returns when row and jobs are
    /// committed. Capture repeats the call until it succeeds, so a second call must change nothing.
    async fn finalized(&self, recording: &Recording) -> Result<(), LedgerError>;
}
