//! Renditions made by libav in child processes, so that no codec can touch what is being recorded.

use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transcode::{Plan, TranscodeError, Worker};

use crate::{Order, RenderError, Rendered, Renderer};

#[async_trait::async_trait]
impl Renderer for Worker {
    async fn render(
        &self,
        order: Order<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError> {
        let rendition = serde_json::from_str(order.parameters).map_err(|error| {
            RenderError::Permanent(format!("the parameters are not those of this version: {error}"))
        })?;
        let plan = Plan { input: order.input.to_owned(), output: order.output.to_owned(), rendition };
        let (sender, mut told) = watch::channel(transcode::Progress::default());
        let work = self.run(&plan, cancel, sender);
        tokio::pin!(work);
        loop {
            tokio::select! {
                made = &mut work => {
                    let made = made.map_err(refused)?;
                    return Ok(Rendered { duration: made.duration, width: made.width, height: made.height });
                }
                Ok(()) = told.changed() => drop(progress.send_replace(shown(*told.borrow_and_update()))),
            }
        }
    }
}

fn shown(progress: transcode::Progress) -> Progress {
    Progress {
        fraction: progress.fraction.into(),
        speed: progress.speed.into(),
        remaining: progress.remaining,
    }
}

fn refused(error: TranscodeError) -> RenderError {
    match error {
        TranscodeError::Cancelled => RenderError::Cancelled,
        error if error.is_permanent() => RenderError::Permanent(error.to_string()),
        error => RenderError::Transient(error.to_string()),
    }
}
