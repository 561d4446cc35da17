//! Work that repeats at an interval.

pub(crate) mod lost_nodes;
pub(crate) mod old_segments;
pub(crate) mod orphaned_uploads;
pub(crate) mod queue_gauge;
pub(crate) mod retention;
