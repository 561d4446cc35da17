//! Executing a plan in this process.

use std::sync::atomic::AtomicBool;

use crate::{
    BadOption, Plan, Produced, Progress, TranscodeError, libav, partial::Partial, progress::Meter,
    render::Pipeline, time::Time,
};

/// Executes `plan` and blocks until it ends. `cancelled` is checked at every packet. A codec can take any time for a packet;
/// [`Worker`](crate::Worker) can stop it at once. `progress` is called a few times a second.
///
/// The output appears under its name when it is complete and synced to disk. After an error, a cancellation or a panic, no
/// file is left.
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
/// use transcode::{Mp3, Plan, run};
///
/// let plan = Plan { input: "call.webm".into(), output: "call.mp3".into(), rendition: Mp3::default().into() };
/// let produced = run(&plan, &AtomicBool::new(false), &mut |progress| println!("{:.0} %", progress.fraction * 100.0))?;
/// println!("{} bytes, {:?}", produced.bytes, produced.duration);
/// # Ok::<(), transcode::TranscodeError>(())
/// ```
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
    let made = plan.rendition.render(&Pipeline::open(&plan.input, partial.path(), &meter)?, &mut meter)?;
    meter.cancelled().check()?;
    let bytes = partial.finish()?;
    meter.done(made.end.max(Time::ZERO));
    Ok(made.produced(bytes))
}
