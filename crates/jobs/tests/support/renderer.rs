//! A renderer that fails, waits or panics by script.

use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use jobs::{FollowRequest, Following, RenderError, RenderRequest, Rendered, Renderer};
use model::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::follower::FollowerScript;

/// The next render's behaviour instead of copying its input.
#[derive(Debug, Clone)]
pub enum Render {
    Fails(RenderError),
    /// Reports this progress, writes half a file, and waits until it is cancelled.
    RunsUntilCancelled(Progress),
    /// Reports progress every few milliseconds until it is cancelled.
    ReportsOften,
    Panics,
}

#[derive(Debug, Default)]
pub struct ScriptedRenderer {
    script: Mutex<VecDeque<Render>>,
    inputs: Mutex<Vec<PathBuf>>,
    steps: AtomicUsize,
    running: AtomicUsize,
    cancelled: AtomicUsize,
    pub followers: FollowerScript,
}

impl ScriptedRenderer {
    pub fn script(&self, renders: impl IntoIterator<Item = Render>) {
        self.script.lock().unwrap().extend(renders);
    }

    /// Number of renders.
    pub fn begun(&self) -> usize {
        self.inputs.lock().unwrap().len()
    }

    /// Number of progress reports.
    pub fn steps(&self) -> usize {
        self.steps.load(SeqCst)
    }

    /// Renders that wait for their cancellation.
    pub fn running(&self) -> usize {
        self.running.load(SeqCst)
    }

    pub fn cancelled(&self) -> usize {
        self.cancelled.load(SeqCst)
    }
}

#[async_trait::async_trait]
impl Renderer for ScriptedRenderer {
    async fn render(
        &self,
        request: RenderRequest<'_>,
        cancel: &CancellationToken,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rendered, RenderError> {
        self.inputs.lock().unwrap().push(request.input.to_owned());
        let next = self.script.lock().unwrap().pop_front();
        match next {
            Some(Render::Fails(error)) => Err(error),
            Some(Render::Panics) => panic!("a panic by script"),
            Some(Render::RunsUntilCancelled(reported)) => {
                fs::write(request.output, "half").unwrap();
                progress.send_replace(reported);
                self.running.fetch_add(1, SeqCst);
                cancel.cancelled().await;
                fs::remove_file(request.output).unwrap();
                self.cancelled.fetch_add(1, SeqCst);
                self.running.fetch_sub(1, SeqCst);
                Err(RenderError::Cancelled)
            }
            Some(Render::ReportsOften) => {
                while !cancel.is_cancelled() {
                    let step = self.steps.fetch_add(1, SeqCst) + 1;
                    progress.send_replace(Progress {
                        fraction: 1.0 - 1.0 / (step + 1) as f64,
                        ..Progress::default()
                    });
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(RenderError::Cancelled)
            }
            None => {
                let media = fs::read(request.input).unwrap();
                fs::write(request.output, [request.parameters.as_bytes(), &media].concat()).unwrap();
                Ok(Rendered { duration: Duration::from_secs(1), width: 640, height: 360 })
            }
        }
    }

    async fn follow(&self, request: FollowRequest<'_>) -> Result<Box<dyn Following>, RenderError> {
        self.followers.begin(request)
    }
}
