//! What a shard does on command.

use std::{sync::Arc, time::Instant};

use model::SessionId;
use peer::OfferError;
use tokio::sync::mpsc::error::TryRecvError;

use super::{COMMANDS, Loop};
use crate::shard::{
    commands::{Begin, Command},
    live::Live,
    sessions::guarded,
};

impl Loop {
    /// Carries out commands; false when nobody can send any more.
    pub(super) fn obey(&mut self) -> bool {
        for _ in 0..COMMANDS {
            let now = Instant::now();
            match self.commands.try_recv() {
                Ok(Command::Begin(begin)) => self.begin(*begin, now),
                Ok(Command::Renegotiate { id, offer, answer }) => {
                    // Whoever asked may have given up waiting.
                    let _ = answer.send(self.renegotiate(id, &offer, now));
                }
                Ok(Command::Stop { id, reason }) => {
                    if let Some(key) = self.sessions.find(id) {
                        self.sessions.with(key, |live| live.stop(reason, now));
                    }
                }
                Ok(Command::Pause { id, paused, answer }) => {
                    let mut done = false;
                    if let Some(key) = self.sessions.find(id) {
                        self.sessions.with(key, |live| done = live.pause(paused, now));
                    }
                    let _ = answer.send(done);
                }
                Ok(Command::Abandon { id, done }) => {
                    if let Some(key) = self.sessions.find(id) {
                        drop(self.remove(key));
                    }
                    let _ = done.send(());
                }
                Ok(Command::Statistics(answer)) => {
                    let _ =
                        answer.send(self.sessions.iter_mut().map(|(_, live)| live.statistics()).collect());
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    fn begin(&mut self, begin: Begin, now: Instant) {
        let Begin { offer, written_down, file, bounds, answer } = begin;
        let (environment, config) = (Arc::clone(&self.environment), Arc::clone(&self.peer));
        let mut live = Live::new(environment, config, written_down, file, bounds, now);
        let fresh = self.sessions.fresh_credentials();
        let Some(accepted) = guarded(&mut live, |live| live.accept_offer(&offer, fresh, now)) else { return };
        let result = accepted.map(|accepted| {
            self.sessions.insert(live, &accepted.ufrag);
            accepted.sdp
        });
        let _ = answer.send(result);
    }

    fn renegotiate(&mut self, id: SessionId, offer: &str, now: Instant) -> Result<String, OfferError> {
        let key = self.sessions.find(id).ok_or(OfferError::Closed)?;
        let fresh = self.sessions.fresh_credentials();
        let (live, routes) = self.sessions.with_routes(key).ok_or(OfferError::Closed)?;
        let accepted = guarded(live, |live| live.accept_offer(offer, fresh, now));
        // A session that panicked over the offer is taken out with its next output.
        if live.is_over() {
            self.sessions.mark(key);
            return Err(OfferError::Closed);
        }
        let answer = accepted.unwrap_or(Err(OfferError::Closed))?;
        routes.add_ufrag(key, &mut live.reach, &answer.ufrag);
        self.sessions.mark(key);
        Ok(answer.sdp)
    }
}
