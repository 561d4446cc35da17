//! Databases and object stores, started for a test on free ports and stopped with it.

pub mod faulty;
pub mod postgres;
pub mod seaweedfs;
