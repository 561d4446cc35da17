//! When feedback is due, and what goes into its datagrams.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtp::Ssrc;

use super::Receiver;
use crate::{feedback::nack::NackList, rtcp, stream::KeyframeBy};

/// Our own SSRC in what we send. libwebrtc's receive-only sides use it as well.
const OUR_SSRC: Ssrc = Ssrc(1);
/// Feedback of at most this many bytes goes into one datagram.
const MAX_COMPOUND: usize = 1150;
/// Reports that are due so soon go with the ones that are due now.
const REPORT_SLACK: Duration = Duration::from_millis(100);

impl Receiver {
    /// When feedback is due next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().flat_map(|stream| {
            [
                Some(stream.reception.due()),
                stream.nack.as_ref().and_then(NackList::due),
                stream.keyframes.due(),
            ]
        });
        streams.chain([self.transport_cc.due()]).flatten().min()
    }

    /// The encrypted feedback that is due, each a datagram.
    pub(crate) fn feedback(&mut self, now: Instant) -> Vec<Bytes> {
        let mut messages = Vec::new();
        self.write_reports(now, &mut messages);
        self.write_requests(now, &mut messages);
        self.transport_cc.write_due(now, OUR_SSRC, &mut messages);
        let mut datagrams = Vec::new();
        let mut compound = Vec::new();
        let count = messages.len();
        for (number, message) in messages.into_iter().enumerate() {
            if !compound.is_empty() && compound.len() + message.len() > MAX_COMPOUND {
                datagrams.extend(self.seal(&compound));
                compound.clear();
            }
            // Without RFC 5506 every compound begins with a report.
            if compound.is_empty() && !self.reduced_size && message.get(1) != Some(&201) {
                rtcp::write_receiver_report(&mut compound, OUR_SSRC, &[]);
            }
            compound.extend(message);
            if number + 1 == count {
                datagrams.extend(self.seal(&compound));
            }
        }
        datagrams
    }

    fn seal(&mut self, compound: &[u8]) -> Option<Bytes> {
        self.srtp.encrypt_rtcp(compound).map(BytesMut::freeze)
    }

    fn write_reports(&mut self, now: Instant, messages: &mut Vec<Vec<u8>>) {
        if self.streams.iter().all(|stream| stream.reception.due() > now) {
            return;
        }
        let blocks: Vec<_> = self
            .streams
            .iter_mut()
            .filter(|stream| stream.reception.due() <= now + REPORT_SLACK)
            .map(|stream| stream.reception.report(stream.ssrc, stream.window.highest(), now))
            .collect();
        for blocks in blocks.chunks(rtcp::MAX_REPORT_BLOCKS) {
            let mut message = Vec::new();
            rtcp::write_receiver_report(&mut message, OUR_SSRC, blocks);
            messages.push(message);
        }
    }

    fn write_requests(&mut self, now: Instant, messages: &mut Vec<Vec<u8>>) {
        let mut lost = Vec::new();
        for stream in &mut self.streams {
            if let Some(nack) = &mut stream.nack {
                nack.collect_due(now, self.round_trip, &mut lost);
            }
            // 256 numbers take 1 KB at worst.
            for lost in lost.chunks(256) {
                let mut message = Vec::new();
                rtcp::write_nack(&mut message, OUR_SSRC, stream.ssrc, lost);
                messages.push(message);
            }
            lost.clear();
            if stream.keyframes.take(now) {
                let mut message = Vec::new();
                match stream.keyframe_by {
                    Some(KeyframeBy::Pli) => rtcp::write_pli(&mut message, OUR_SSRC, stream.ssrc),
                    Some(KeyframeBy::Fir) => {
                        rtcp::write_fir(&mut message, OUR_SSRC, stream.ssrc, self.fir_number);
                        self.fir_number = self.fir_number.wrapping_add(1);
                    }
                    None => continue,
                }
                messages.push(message);
            }
        }
    }
}
