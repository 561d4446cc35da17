//! Executing a plan in this process.

use std::sync::atomic::AtomicBool;

use crate::{
    BadOption, Plan, Produced, Progress, TranscodeError, libav, partial::Partial, progress::Meter, render,
    time::Time,
};

/// Executes `plan` and blocks until it is done. `cancelled` is looked at with every packet; to stop within a set time
/// whatever a codec is at, use a [`Worker`](crate::Worker). `progress` is called a few times a second.
///
/// The output appears under its name when it is whole and synced to disk. On error, cancel and panic nothing is left.
///
/// # Errors
/// See [`TranscodeError`].
pub fn run(
    plan: &Plan,
    cancelled: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Produced, TranscodeError> {
    plan.rendition.check().map_err(TranscodeError::BadOption)?;
    if plan.input == plan.output {
        let reason = "must not be the input, which is the only copy";
        return Err(TranscodeError::BadOption(BadOption::new("output", reason)));
    }
    libav::init()?;
    libav::log::clear();
    let mut meter = Meter::new(cancelled, progress);
    meter.cancelled().check()?;
    let partial = Partial::new(&plan.output);
    let made = render::make(plan, partial.path(), &mut meter)?;
    meter.cancelled().check()?;
    let bytes = partial.keep()?;
    meter.done(made.end.max(Time::ZERO));
    Ok(made.produced(bytes))
}
