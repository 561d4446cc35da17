//! RTCP as it comes: sender reports and goodbyes.

use std::{collections::VecDeque, time::Instant};

use rtp::Ssrc;

use super::Receiver;
use crate::{
    PeerEvent,
    demux::Role,
    rtcp::{self, Report, goodbye_ssrcs},
    sdp::Session,
    tracks::Tracks,
};

impl Receiver {
    /// Takes an SRTCP packet. True if it is authentic.
    pub(crate) fn handle_rtcp(
        &mut self,
        packet: &[u8],
        arrival: Instant,
        session: &Session,
        tracks: &mut Tracks,
        events: &mut VecDeque<PeerEvent>,
    ) -> bool {
        let Some(ssrc) = rtcp::first_ssrc(packet) else { return false };
        // rtc-srtp makes a state for whatever source it is shown. Of others than senders nothing matters to us.
        let declared = || session.media().any(|(_, media)| media.ssrcs.contains(&ssrc));
        if self.find(ssrc).is_none() && !declared() {
            self.dropped.unknown += 1;
            return false;
        }
        let Some(compound) = self.srtp.decrypt_rtcp(packet, ssrc) else {
            self.dropped.not_authentic += 1;
            return false;
        };
        for report in rtcp::reports(&compound) {
            match report {
                Report::Sender(report) => {
                    let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == report.ssrc)
                    else {
                        continue;
                    };
                    stream.reception.sender_report(report.ntp, arrival);
                    if stream.role == Role::Primary {
                        events.push_back(PeerEvent::SenderReport {
                            track: stream.track,
                            layer: stream.layer,
                            arrival,
                            report,
                        });
                    }
                }
                Report::Goodbye(sources) => {
                    goodbye_ssrcs(sources).for_each(|ssrc| self.goodbye(ssrc, tracks, events));
                }
            }
        }
        true
    }

    fn goodbye(&mut self, ssrc: Ssrc, tracks: &mut Tracks, events: &mut VecDeque<PeerEvent>) {
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) else { return };
        stream.said_bye = true;
        if let Some(nack) = &mut stream.nack {
            nack.clear();
        }
        let track = stream.track;
        let mut primaries =
            self.streams.iter().filter(|stream| stream.track == track && stream.role == Role::Primary);
        if primaries.all(|stream| stream.said_bye) {
            tracks.silence(track, events);
        }
    }
}
