//! Where capture writes down that a session began and what it left behind.

use model::{Recording, SessionId, TenantId};

/// The ledger could not take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// The database, as capture sees it.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// A session begins. It is refused if this fails.
    async fn began(&self, recording: &Recording) -> Result<(), LedgerError>;

    /// A live session was paused (state PAUSED) or resumed (RECORDING). One that is sealed stays as it is, and
    /// repeating it changes nothing.
    async fn paused(&self, tenant: &TenantId, id: SessionId, paused: bool) -> Result<(), LedgerError>;

    /// A recording is sealed: its file is closed and safe at `<spool>/<id>/<id>.<format>`. Returns when its row and
    /// its jobs are committed. Capture repeats the call until it succeeds; so a second call changes nothing.
    async fn sealed(&self, recording: &Recording) -> Result<(), LedgerError>;
}
