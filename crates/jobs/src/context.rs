//! What every job and every periodic task works with.

use std::sync::Arc;

use blob::BlobStore;
use store::Store;
use uuid::Uuid;

use crate::{JobsConfig, Renderer, live_render::followers::Followers, live_upload::registry::LiveUploads};

/// What every job and every periodic task works with. One for all workers of a node.
pub(crate) struct Context {
    pub config: JobsConfig,
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn BlobStore>,
    pub renderer: Arc<dyn Renderer>,
    /// Uploads of open files.
    pub live_uploads: LiveUploads,
    /// The processes that make segments of open files.
    pub followers: Followers,
    /// The id of this run of the process. A journaled part of the same run is known to be sent from final bytes.
    pub run: Uuid,
}
