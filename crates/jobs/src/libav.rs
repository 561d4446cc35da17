//! The renderer: libav in child processes, so that no codec can affect a running recording.

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
        request: RenderRequest<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError> {
        let rendition = rendition(request.parameters)?;
        let plan = Plan { input: request.input.to_owned(), output: request.output.to_owned(), rendition };
        let (sender, mut reported) = watch::channel(transcode::Progress::default());
        let work = self.run(&plan, cancel, sender);
        tokio::pin!(work);
        loop {
            tokio::select! {
                produced = &mut work => {
                    return Ok(rendered(produced.map_err(render_error)?));
                }
                Ok(()) = reported.changed() => {
                    progress.send_replace(converted(*reported.borrow_and_update()));
                }
            }
        }
    }

    async fn follow(&self, request: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError> {
        let follow = Follow {
            input: request.input.to_owned(),
            segments: request.segments.to_owned(),
            rendition: rendition(request.parameters)?,
            interval: request.interval,
        };
        Ok(Box::new(Worker::follow(self, &follow).map_err(render_error)?))
    }
}

#[async_trait::async_trait]
impl Following for Follower {
    async fn advance(&mut self, until: u64) -> Result<(), RenderError> {
        Follower::grown(self, until).await.map_err(render_error)
    }

    async fn end(&mut self, bytes: u64, output: &Path) -> Result<(), RenderError> {
        Follower::end(self, bytes, output).await.map_err(render_error)
    }

    async fn next(&mut self) -> Result<Followed, RenderError> {
        Ok(match Follower::next(self).await.map_err(render_error)? {
            transcode::Followed::Segment(produced) => Followed::Segment(FollowedSegment {
                number: produced.number,
                start: produced.start,
                duration: produced.duration,
                bytes: produced.bytes,
            }),
            transcode::Followed::Produced(produced) => Followed::Rendered(rendered(produced)),
        })
    }
}

fn rendition(parameters: &str) -> Result<Rendition, RenderError> {
    serde_json::from_str(parameters).map_err(|error| {
        RenderError::Permanent(format!("the parameters are not those of this version: {error}"))
    })
}

fn rendered(produced: Produced) -> Rendered {
    Rendered { duration: produced.duration, width: produced.width, height: produced.height }
}

fn converted(progress: transcode::Progress) -> Progress {
    Progress {
        fraction: progress.fraction.into(),
        speed: progress.speed.into(),
        remaining: progress.remaining,
    }
}

fn render_error(error: TranscodeError) -> RenderError {
    match error {
        TranscodeError::Cancelled => RenderError::Cancelled,
        error if error.is_permanent() => RenderError::Permanent(error.to_string()),
        error => RenderError::Transient(error.to_string()),
    }
}
