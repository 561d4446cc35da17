//! Work that repeats at an interval: on each node, or on one node for all.

mod lost_nodes;
mod old_segments;
mod orphaned_uploads;
mod periodic;
mod queue_gauge;
mod retention;

use std::{sync::Arc, time::Duration};

use futures::FutureExt;

use self::lost_nodes::LostNodes;
use crate::{OpenFiles, context::Context};

pub use lost_nodes::DefaultRenditions;
pub(crate) use periodic::Periodic;

/// Interval between two counts of the queue.
const QUEUE_GAUGE_INTERVAL: Duration = Duration::from_secs(15);
/// Interval between two lists of the object store's open uploads.
const LIST_INTERVAL: Duration = Duration::from_secs(3600);

/// The tasks that every set of workers runs.
pub(crate) fn tasks(context: &Context) -> Vec<Periodic> {
    let config = &context.config;
    let mut tasks = vec![Periodic {
        name: "queue_gauge",
        every: QUEUE_GAUGE_INTERVAL,
        leader_only: false,
        run: Box::new(|context| async move { queue_gauge::run(&context).await }.boxed()),
    }];
    if !config.retention.is_empty() {
        tasks.push(Periodic {
            name: "retention",
            every: config.workers.retention_interval.0,
            leader_only: true,
            run: Box::new(|context| async move { retention::run(&context).await }.boxed()),
        });
    }
    tasks
}

/// The tasks of a node whose open files are uploaded and followed.
pub(crate) fn tasks_of_open_files(
    context: &Context,
    open_files: Arc<dyn OpenFiles>,
    default_renditions: DefaultRenditions,
) -> Vec<Periodic> {
    let config = &context.config;
    let (every, clean_up) = (config.maintenance_interval, config.segments.clean_up_interval.0);
    let mut tasks = vec![
        Periodic {
            name: "unpark",
            every,
            leader_only: false,
            run: Box::new(move |context| {
                let open_files = Arc::clone(&open_files);
                async move { lost_nodes::unpark_own(&context, &*open_files).await }.boxed()
            }),
        },
        Periodic {
            name: "segment_files",
            every: clean_up,
            leader_only: false,
            run: Box::new(|context| old_segments::remove_files(context).boxed()),
        },
        Periodic {
            name: "segment_rows",
            every: clean_up,
            leader_only: true,
            run: Box::new(|context| async move { old_segments::remove_rows(&context).await }.boxed()),
        },
    ];
    if context.blobs.parts().is_some() {
        tasks.push(Periodic {
            name: "unknown_uploads",
            every: LIST_INTERVAL,
            leader_only: false,
            run: Box::new(|context| async move { orphaned_uploads::abort_unknown(&context).await }.boxed()),
        });
        tasks.push(Periodic {
            name: "needless_uploads",
            every,
            leader_only: false,
            run: Box::new(|context| async move { orphaned_uploads::abort_needless(&context).await }.boxed()),
        });
    }
    if let Some(after) = config.node_lost_after {
        let lost_nodes = Arc::new(LostNodes::new(after, default_renditions));
        tasks.push(Periodic {
            name: "lost_nodes",
            every,
            leader_only: false,
            run: Box::new(move |context| {
                let lost_nodes = Arc::clone(&lost_nodes);
                async move { lost_nodes.run(&context).await }.boxed()
            }),
        });
    }
    tasks
}
