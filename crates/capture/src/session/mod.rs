//! One session: its states, what the shard keeps of it, and how it is sealed.

pub(crate) mod convert;
pub(crate) mod sealing;
pub(crate) mod state;
pub(crate) mod tape;
