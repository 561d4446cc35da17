//! Renditions made by libav in child processes, so that no codec can touch what is being recorded.

use std::path::Path;

use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use transcode::{Follow, Follower, Plan, Produced, Rendition, TranscodeError, Worker};

use crate::{
    FollowRequest, Followed, FollowedSegment, Following, RenderError, RenderRequest, Rendered, Renderer,
};

#[async_trait::async_trait]
impl Renderer for Worker {
    async fn render(
        &self,
        order: RenderRequest<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError> {
        let rendition = rendition(order.parameters)?;
        let plan = Plan { input: order.input.to_owned(), output: order.output.to_owned(), rendition };
        let (sender, mut told) = watch::channel(transcode::Progress::default());
        let work = self.run(&plan, cancel, sender);
        tokio::pin!(work);
        loop {
            tokio::select! {
                made = &mut work => {
                    return Ok(rendered(made.map_err(refused)?));
                }
                Ok(()) = told.changed() => drop(progress.send_replace(shown(*told.borrow_and_update()))),
            }
        }
    }

    async fn follow(&self, order: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError> {
        let follow = Follow {
            input: order.input.to_owned(),
            segments: order.segments.to_owned(),
            rendition: rendition(order.parameters)?,
            interval: order.interval,
        };
        Ok(Box::new(Worker::follow(self, &follow).map_err(refused)?))
    }
}

#[async_trait::async_trait]
impl Following for Follower {
    async fn grown(&mut self, until: u64) -> Result<(), RenderError> {
        Follower::grown(self, until).await.map_err(refused)
    }

    async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), RenderError> {
        Follower::end(self, bytes, output).await.map_err(refused)
    }

    async fn next(&mut self) -> Result<Followed, RenderError> {
        Ok(match Follower::next(self).await.map_err(refused)? {
            transcode::Followed::Segment(made) => Followed::Segment(FollowedSegment {
                number: made.number,
                start: made.start,
                duration: made.duration,
                bytes: made.bytes,
            }),
            transcode::Followed::Produced(made) => Followed::Rendered(rendered(made)),
        })
    }
}

fn rendition(parameters: &str) -> Result<Rendition, RenderError> {
    serde_json::from_str(parameters).map_err(|error| {
        RenderError::Permanent(format!("the parameters are not those of this version: {error}"))
    })
}

fn rendered(made: Produced) -> Rendered {
    Rendered { duration: made.duration, width: made.width, height: made.height }
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
