//! One session: its states, what the shard keeps of it, and how it is sealed.

pub(crate) mod convert;
pub(crate) mod file_recorder;
pub(crate) mod finalizing;
pub(crate) mod state;
