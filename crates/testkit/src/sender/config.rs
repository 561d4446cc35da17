//! What a sender plays, and the network that it sends through.

use std::{sync::Arc, time::Duration};

use super::network::Impairment;
use crate::signal::Clip;

/// One media section of the offer.
#[derive(Clone, Debug)]
pub struct Track {
    /// One layer without a rid; or several with one each: simulcast, lowest first.
    pub layers: Vec<Layer>,
    /// Delay of the track's first frame after the session's start.
    pub delay: Duration,
    /// Delay of each frame from its capture to the wire, as in an encoder. Sender reports don't show it.
    pub lag: Duration,
}

/// One RTP stream of a track.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The rid of a simulcast layer (RFC 8853), else `None`.
    pub rid: Option<&'static str>,
    /// What it plays, in a loop.
    pub clip: Arc<Clip>,
}

impl Track {
    /// A track of one stream.
    #[must_use]
    pub fn of(clip: Arc<Clip>) -> Self {
        Self { layers: vec![Layer { rid: None, clip }], delay: Duration::ZERO, lag: Duration::ZERO }
    }

    /// Three simulcast layers with the rids that browsers commonly use: quarter, half, full.
    #[must_use]
    pub fn simulcast(quarter: Arc<Clip>, half: Arc<Clip>, full: Arc<Clip>) -> Self {
        let layers =
            [("q", quarter), ("h", half), ("f", full)].map(|(rid, clip)| Layer { rid: Some(rid), clip });
        Self { layers: layers.into(), delay: Duration::ZERO, lag: Duration::ZERO }
    }

    /// The same, but the first frame is sent `delay` after the session's start.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same, but each frame is sent `lag` after its capture.
    #[must_use]
    pub fn lagging(mut self, lag: Duration) -> Self {
        self.lag = lag;
        self
    }

    /// Whether it carries pictures.
    #[must_use]
    pub fn is_video(&self) -> bool {
        self.layers.first().is_some_and(|layer| layer.clip.spec.codec.is_video())
    }
}

/// Everything about one sender.
#[derive(Clone, Debug, Default)]
pub struct SenderConfig {
    /// The media sections of its first offer.
    pub tracks: Vec<Track>,
    /// The label of a data channel to open, if any.
    pub data_channel: Option<String>,
    /// Seed of the network's random numbers and of the first RTP timestamp.
    pub seed: u64,
    /// What happens to datagrams from the sender.
    pub outgoing: Impairment,
    /// What happens to datagrams to the sender.
    pub incoming: Impairment,
    /// Stops playing after this much media; `None` plays on.
    pub play_for: Option<Duration>,
}

impl SenderConfig {
    /// Sends these tracks over a network without faults.
    #[must_use]
    pub fn playing(tracks: impl Into<Vec<Track>>) -> Self {
        Self { tracks: tracks.into(), ..Self::default() }
    }
}
