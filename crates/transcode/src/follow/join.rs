//! Joins segments to one file.

use std::path::Path;

use crate::{
    TranscodeError,
    progress::Cancelled,
    sink::{Container, Mux, PacketSink, Pieces, segment_path},
    source::Reader,
    time::Time,
};

/// Writes the packets of all segments into one container with the timestamps of their encoder. The file equals, byte for
/// byte, one that was written without segments. Returns the end of the last packet.
pub(super) fn join(
    pieces: &Pieces,
    output: &Path,
    container: Container,
    cancelled: Cancelled<'_>,
) -> Result<Time, TranscodeError> {
    let mut mux = Mux::create(output, container, cancelled)?;
    let stream = mux.add_coded(pieces.parameters.clone(), pieces.time_base)?;
    mux.start()?;
    let mut number = 0;
    for (segment, packets) in (0..).zip(&pieces.packets) {
        let mut reader = Reader::open(&segment_path(&pieces.directory, segment))?;
        let mut missing = *packets;
        while let Some(packet) = reader.next(cancelled)? {
            let packet = pieces.timing.restore(number, packet.data().unwrap_or_default());
            mux.write(stream, packet, pieces.time_base)?;
            number += 1;
            missing = missing.saturating_sub(1);
        }
        if missing > 0 {
            let doing = format!("joining segment {segment}");
            return Err(TranscodeError::Io { doing, detail: format!("{missing} of its packets are gone") });
        }
    }
    mux.finish()
}
