//! The sender without sockets and clock.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event, Input, Output, Rtc, RtcError,
    change::{SdpAnswer, SdpPendingOffer},
    channel::{ChannelConfig, ChannelId},
    format::{Codec as RtpCodec, PayloadParams},
    media::{Direction, MediaKind, Pt, Simulcast, SimulcastLayer},
    net::{Protocol, Receive},
};
use thiserror::Error;

use super::{
    config::{SenderConfig, Track},
    network::{Impairment, Network, is_rtp},
    player::Stream,
    stats::SenderStats,
};
use crate::signal::Codec;

/// Why a sender failed.
#[derive(Debug, Error)]
pub enum SenderError {
    /// The answer is not SDP, or doesn't fit the offer.
    #[error("the answer: {0}")]
    Answer(String),
    /// An answer without an offer, or an offer that changes nothing.
    #[error("nothing to negotiate")]
    NothingToNegotiate,
    /// The recorder took none of the codecs of a track.
    #[error("the answer has no payload type for {0}")]
    NotAccepted(Codec),
    /// str0m failed.
    #[error("str0m: {0}")]
    Rtc(#[from] RtcError),
}

/// A WebRTC peer that sends clips; sans I/O. After every call drain [`Sender::poll_transmit`], then wait for a
/// datagram or for [`Sender::poll_timeout`].
pub struct Sender {
    rtc: Rtc,
    local: SocketAddr,
    config: SenderConfig,
    streams: Vec<Stream>,
    pending: Option<SdpPendingOffer>,
    outgoing: Network<SocketAddr>,
    incoming: Network<SocketAddr>,
    resend_types: HashSet<u8>,
    /// Media time zero: the instant at which the connection came up.
    origin: Option<Instant>,
    /// When str0m has to be called next.
    wake: Instant,
    channel: Option<ChannelId>,
    stats: SenderStats,
    failure: Option<String>,
}

impl Sender {
    /// A sender whose one candidate is `local`.
    ///
    /// # Errors
    /// [`SenderError::Rtc`] if `local` is no address that can be a candidate.
    pub fn new(config: SenderConfig, local: SocketAddr, now: Instant) -> Result<Self, SenderError> {
        let mut builder = Rtc::builder()
            .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
            .clear_codecs()
            .set_stats_interval(None)
            // At 5 % loss of a 720p stream this holds a few seconds of packets for resends.
            .set_send_buffer_video(2000)
            .enable_opus(true, false);
        let codecs = config.tracks.iter().flat_map(|track| &track.layers).map(|layer| layer.clip.spec.codec);
        for codec in codecs {
            builder = match codec {
                Codec::Vp8 => builder.enable_vp8(true),
                Codec::Vp9 => builder.enable_vp9(true),
                Codec::Av1 => builder.enable_av1(true),
                Codec::H264 => builder.enable_h264(true),
                Codec::Opus => builder,
            };
        }
        let mut rtc = builder.build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").map_err(RtcError::from)?);
        let seed = config.seed;
        Ok(Self {
            rtc,
            local,
            streams: Vec::new(),
            pending: None,
            outgoing: Network::new(config.outgoing, seed),
            incoming: Network::new(config.incoming, seed ^ u64::MAX),
            resend_types: HashSet::new(),
            origin: None,
            wake: now,
            channel: None,
            stats: SenderStats::default(),
            failure: None,
            config,
        })
    }

    /// The first offer: all tracks of the configuration, and the data channel.
    ///
    /// # Errors
    /// [`SenderError::NothingToNegotiate`] if the configuration has neither.
    pub fn offer(&mut self) -> Result<String, SenderError> {
        let mut change = self.rtc.sdp_api();
        for track in &self.config.tracks {
            self.streams.extend(add_track(&mut change, track, Duration::ZERO, self.config.seed));
        }
        if let Some(label) = &self.config.data_channel {
            let config = ChannelConfig { label: label.clone(), ..ChannelConfig::default() };
            self.channel = Some(change.add_channel_with_config(config));
        }
        let (offer, pending) = change.apply().ok_or(SenderError::NothingToNegotiate)?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    /// An offer that adds a track. It plays from now on.
    ///
    /// # Errors
    /// [`SenderError::NothingToNegotiate`] can't happen here, but is what str0m's interface allows.
    pub fn offer_more(&mut self, track: &Track, now: Instant) -> Result<String, SenderError> {
        let begin = self.origin.map_or(Duration::ZERO, |origin| now.saturating_duration_since(origin));
        let mut change = self.rtc.sdp_api();
        self.streams.extend(add_track(&mut change, track, begin, self.config.seed));
        let (offer, pending) = change.apply().ok_or(SenderError::NothingToNegotiate)?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    /// An offer with new ICE credentials.
    ///
    /// # Errors
    /// As [`Sender::offer_more`].
    pub fn offer_ice_restart(&mut self) -> Result<String, SenderError> {
        let mut change = self.rtc.sdp_api();
        change.ice_restart(true);
        let (offer, pending) = change.apply().ok_or(SenderError::NothingToNegotiate)?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    /// Applies the answer to the last offer.
    ///
    /// # Errors
    /// [`SenderError::Answer`] if it doesn't fit; [`SenderError::NotAccepted`] if a track was refused.
    pub fn accept_answer(&mut self, answer: &str, now: Instant) -> Result<(), SenderError> {
        let pending = self.pending.take().ok_or(SenderError::NothingToNegotiate)?;
        let answer =
            SdpAnswer::from_sdp_string(answer).map_err(|error| SenderError::Answer(error.to_string()))?;
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .map_err(|error| SenderError::Answer(error.to_string()))?;
        self.drain(now);
        for stream in &mut self.streams {
            let codec = stream.layer.clip.spec.codec;
            let writer = self.rtc.writer(stream.mid).ok_or(SenderError::NotAccepted(codec))?;
            let pt = payload_type(codec, writer.payload_params()).ok_or(SenderError::NotAccepted(codec))?;
            self.resend_types
                .extend(writer.payload_params().filter_map(|params| params.resend().map(|pt| *pt)));
            stream.pt = Some(pt);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// Handles a received datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: Vec<u8>) {
        self.incoming.push(now, source, datagram);
        self.handle_timeout(now);
    }

    /// Handles what is due by `now`: delayed datagrams, timers of ICE, DTLS and RTCP, frames to send.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((source, datagram)) = self.incoming.pop(now) {
            let received = Receive::new(Protocol::Udp, source, self.local, &datagram);
            // str0m accepts only WebRTC datagrams.
            if let Ok(received) = received {
                self.input(now, Input::Receive(now, received));
            }
        }
        if self.wake <= now {
            self.input(now, Input::Timeout(now));
        }
        self.play(now);
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        if self.failure.is_none() {
            match self.rtc.handle_input(input) {
                Ok(()) => self.drain(now),
                Err(error) => self.fail(&error),
            }
        }
    }

    fn play(&mut self, now: Instant) {
        let Some(origin) = self.origin else { return };
        let end = self.config.play_for.unwrap_or(Duration::MAX);
        for index in 0..self.streams.len() {
            while self.failure.is_none() && !self.stats.closed {
                let stream = &mut self.streams[index];
                let Some(pt) = stream.pt.filter(|_| stream.next_time().is_some_and(|time| time < end)) else {
                    break;
                };
                let Some((captured, rtp_time, data)) = stream.pop(origin, now) else { break };
                let Some(mut writer) = self.rtc.writer(stream.mid) else { break };
                if let Some(rid) = stream.rid {
                    writer = writer.rid(rid);
                }
                // str0m wants to be drained after every write.
                match writer.write(pt, captured, rtp_time, data) {
                    Ok(()) => self.drain(now),
                    Err(error) => self.fail(&error),
                }
                // A frame written is queued; the timeout that str0m then asks for puts it on the wire.
                if self.wake <= now {
                    self.input(now, Input::Timeout(now));
                }
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.wake = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    self.transmit(now, transmit.destination, transmit.contents.into());
                }
                Ok(Output::Event(event)) => self.event(&event, now),
                Err(error) => return self.fail(&error),
            }
        }
    }

    fn transmit(&mut self, now: Instant, destination: SocketAddr, datagram: Vec<u8>) {
        let resend = is_rtp(&datagram)
            .then(|| datagram.get(1).is_some_and(|byte| self.resend_types.contains(&(byte & 0x7f))));
        let lost = u64::from(!self.outgoing.push(now, destination, datagram));
        match resend {
            Some(false) => {
                self.stats.packets += 1;
                self.stats.packets_lost += lost;
            }
            Some(true) => {
                self.stats.resends += 1;
                self.stats.resends_lost += lost;
            }
            None => {}
        }
    }

    fn event(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Connected => {
                self.stats.connected = true;
                self.origin.get_or_insert(now);
            }
            Event::KeyframeRequest(_) => self.stats.keyframe_requests += 1,
            Event::ChannelOpen(..) => self.stats.channel_open = true,
            Event::Closed => self.stats.closed = true,
            _ => {}
        }
    }

    fn fail(&mut self, error: &RtcError) {
        self.stats.closed = true;
        self.failure.get_or_insert_with(|| error.to_string());
        self.wake = self.wake.max(self.wake + Duration::from_secs(3600));
    }

    /// The next datagram to send: its destination and its bytes.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        self.outgoing.pop(now)
    }

    /// When [`Sender::handle_timeout`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let frame = self.origin.filter(|_| !self.stats.closed).and_then(|origin| {
            let end = self.config.play_for.unwrap_or(Duration::MAX);
            let ready = self.streams.iter().filter(|stream| stream.pt.is_some());
            ready.filter_map(|stream| stream.next_due(end)).min().map(|due| origin + due)
        });
        let network = [self.outgoing.next_due(), self.incoming.next_due()];
        network.into_iter().flatten().chain(frame).fold(self.wake, Instant::min)
    }

    /// Sends a message on the data channel. Returns whether it is open and took the message.
    pub fn send_message(&mut self, binary: bool, message: &[u8], now: Instant) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        let sent = channel.is_some_and(|mut channel| channel.write(binary, message).unwrap_or(false));
        self.drain(now);
        sent
    }

    /// Changes what the network does from now on, in both directions.
    pub fn set_impairment(&mut self, outgoing: Impairment, incoming: Impairment) {
        self.outgoing.set_impairment(outgoing);
        self.incoming.set_impairment(incoming);
    }

    /// Sends RTCP BYE and DTLS close_notify.
    pub fn close(&mut self, now: Instant) {
        let _ = self.rtc.close();
        self.stats.closed = true;
        self.drain(now);
    }

    /// The counters up to now.
    #[must_use]
    pub fn stats(&self) -> SenderStats {
        SenderStats { frames: self.streams.iter().map(|stream| stream.sent).collect(), ..self.stats.clone() }
    }

    /// Why str0m failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

fn add_track(
    change: &mut str0m::change::SdpApi<'_>,
    track: &Track,
    begin: Duration,
    seed: u64,
) -> Vec<Stream> {
    let kind = if track.is_video() { MediaKind::Video } else { MediaKind::Audio };
    let rids: Vec<&str> = track.layers.iter().filter_map(|layer| layer.rid).collect();
    let simulcast = (!rids.is_empty()).then(|| {
        let mut simulcast = Simulcast::new();
        rids.iter().for_each(|rid| simulcast.add_send_layer(SimulcastLayer::new(rid)));
        simulcast
    });
    let mid = change.add_media(kind, Direction::SendOnly, Some("signal".into()), None, simulcast);
    // Any first timestamp is allowed (RFC 3550 §5.1). One near the wrap finds faults.
    let first_tick =
        if seed.is_multiple_of(2) { u32::MAX - 90_000 } else { (seed as u32).wrapping_mul(0x9e37_79b9) };
    Stream::of_track(mid, track, begin, first_tick)
}

fn payload_type<'a>(codec: Codec, params: impl Iterator<Item = &'a PayloadParams>) -> Option<Pt> {
    let fits = |params: &&PayloadParams| {
        let spec = params.spec();
        match codec {
            Codec::Vp8 => spec.codec == RtpCodec::Vp8,
            Codec::Vp9 => spec.codec == RtpCodec::Vp9,
            Codec::Av1 => spec.codec == RtpCodec::Av1,
            // The clip is constrained baseline and its frames need fragmentation units.
            Codec::H264 => {
                let profile = spec.format.profile_level_id.unwrap_or(0x42_e0_1f) >> 16;
                spec.codec == RtpCodec::H264 && spec.format.packetization_mode == Some(1) && profile == 0x42
            }
            Codec::Opus => spec.codec == RtpCodec::Opus,
        }
    };
    params.into_iter().find(fits).map(PayloadParams::pt)
}
