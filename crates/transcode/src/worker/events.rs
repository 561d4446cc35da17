//! The tracing events of a child process, which its server emits again.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// The longest text of an event, in bytes.
const MAX_TEXT: usize = 1_024;

/// An event of a child process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildEvent {
    warning: bool,
    message: String,
    /// `name=value`, separated by spaces.
    fields: String,
}

impl ChildEvent {
    /// Emits it in the server. `pid` is the child's.
    pub(super) fn emit(&self, pid: Option<u32>) {
        let Self { warning, message, fields } = self;
        if *warning {
            tracing::warn!(pid, %fields, "worker: {message}");
        } else {
            tracing::debug!(pid, %fields, "worker: {message}");
        }
    }
}

/// Passes the events of this process to a function. DEBUG is the lowest level.
pub(super) struct Forwarder<F>(pub(super) F);

impl<F: Fn(ChildEvent) + 'static> Subscriber for Forwarder<F> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::DEBUG
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let warning = *event.metadata().level() <= Level::WARN;
        let mut made = ChildEvent { warning, message: String::new(), fields: String::new() };
        event.record(&mut made);
        (self.0)(made);
    }

    // Spans are not forwarded.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for ChildEvent {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.message.len() + self.fields.len() >= MAX_TEXT {
            return;
        }
        // Writing into a string can't fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            let space = if self.fields.is_empty() { "" } else { " " };
            write!(self.fields, "{space}{}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn an_event_is_forwarded_with_its_message_and_fields() {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let forwarder = Forwarder(move |event| sink.lock().unwrap().push(event));
        tracing::subscriber::with_default(forwarder, || {
            tracing::debug!(track = 1, pts = "2.5 s", "skipped");
            tracing::warn!("late");
            tracing::trace!("never forwarded");
        });
        let event = |warning, message: &str, fields: &str| ChildEvent {
            warning,
            message: message.to_owned(),
            fields: fields.to_owned(),
        };
        let expected = [event(false, "skipped", "track=1 pts=\"2.5 s\""), event(true, "late", "")];
        assert_eq!(*events.lock().unwrap(), expected);
    }
}
