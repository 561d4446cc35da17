//! A limit of the bytes per second of all uploads together.

use std::{
    io::{self, SeekFrom},
    num::NonZeroU64,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::{Instant, sleep_until},
};
use tokio_util::io::ReaderStream;

use super::SEND_BUFFER;

/// The smallest piece: with smaller ones the system calls would cost more than the bytes.
const MIN_PIECE: u64 = 4 * 1024;
/// Pieces per second: enough that no wait looks like a stalled connection.
const PIECES_A_SECOND: u64 = 8;
/// The number of streams that may share the rate while a part is sent, for its time-out.
const MAX_STREAMS: u32 = 32;

/// Delays each piece of a body so that all streams together send at most `bytes_a_second`. Pieces of all streams are sent in
/// the order of their requests.
#[derive(Debug)]
pub(super) struct RateLimiter {
    bytes_a_second: NonZeroU64,
    /// When the next piece may be sent.
    next: Mutex<Instant>,
}

impl RateLimiter {
    pub fn new(bytes_a_second: NonZeroU64) -> Self {
        Self { bytes_a_second, next: Mutex::new(Instant::now()) }
    }

    /// The longest time that these bytes take while other streams share the rate.
    pub fn longest_time(&self, bytes: u64) -> Duration {
        self.time(bytes).saturating_mul(MAX_STREAMS)
    }

    fn time(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_a_second.get() as f64)
    }

    fn piece_bytes(&self) -> usize {
        let bytes = (self.bytes_a_second.get() / PIECES_A_SECOND).clamp(MIN_PIECE, SEND_BUFFER as u64);
        usize::try_from(bytes).unwrap_or(SEND_BUFFER)
    }

    /// Waits until a piece may be sent. Unused time is not made up for later: there are no bursts.
    async fn wait(&self, bytes: u64) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.time(bytes);
            at
        };
        sleep_until(at).await;
    }
}

/// The body of a request: a range of a file, which is read at the limited rate while it is sent. It is read again for another
/// attempt.
pub(super) fn body(limiter: Arc<RateLimiter>, path: PathBuf, offset: u64, bytes: u64) -> SdkBody {
    SdkBody::retryable(move || {
        let pieces = pieces(Arc::clone(&limiter), path.clone(), offset, bytes);
        SdkBody::from_body_1_x(LimitedBody { pieces: Box::pin(pieces), remaining: bytes })
    })
}

fn pieces(
    limiter: Arc<RateLimiter>,
    path: PathBuf,
    offset: u64,
    bytes: u64,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    let piece_bytes = limiter.piece_bytes();
    let opened = async move {
        let mut file = File::open(path).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        Ok::<_, io::Error>(ReaderStream::with_capacity(file.take(bytes), piece_bytes))
    };
    stream::once(opened).try_flatten().then(move |piece| {
        let limiter = Arc::clone(&limiter);
        async move {
            if let Ok(piece) = &piece {
                limiter.wait(piece.len() as u64).await;
            }
            piece
        }
    })
}

struct LimitedBody {
    pieces: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>,
    remaining: u64,
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = std::task::ready!(self.pieces.poll_next_unpin(context));
        if let Some(Ok(piece)) = &next {
            self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn streams_share_the_rate_and_send_the_bytes_of_their_ranges() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..400_000_u32).map(|n| n as u8).collect();
        std::fs::write(file.path(), &content).unwrap();
        let limiter = Arc::new(RateLimiter::new(NonZeroU64::new(100_000).unwrap()));
        let begun = Instant::now();
        let read = |offset: u64| {
            let pieces = pieces(Arc::clone(&limiter), file.path().to_owned(), offset, 150_000);
            pieces.try_fold(Vec::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            })
        };
        let (first, second) = tokio::join!(read(0), read(200_001));
        assert!(first.unwrap() == content[..150_000]);
        assert!(second.unwrap() == content[200_001..350_001]);
        let took = begun.elapsed().as_secs_f64();
        assert!((2.8..3.2).contains(&took), "{took} s for 300,000 bytes at 100,000 a second");
    }

    #[tokio::test(start_paused = true)]
    async fn unused_time_is_not_made_up_for() {
        let limiter = RateLimiter::new(NonZeroU64::new(1000).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..5 {
            limiter.wait(1000).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 4);
    }
}
