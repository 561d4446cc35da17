//! A limit on what goes out in a second, shared by all that is sent.

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

use super::put::SEND_BUFFER;

/// The smallest piece that is paced: below it the system calls would cost more than the bytes.
const MIN_PIECE: u64 = 4 * 1024;
/// Pieces a second: so many that none waits long enough to look like a stalled connection.
const PIECES_A_SECOND: u64 = 8;
/// Streams among which the rate may have to be divided while a part is on its way: what its patience allows for.
const MAX_STREAMS: u32 = 32;

/// Gives each piece its time to leave. Pieces of all streams share one rate, in the order in which they come.
#[derive(Debug)]
pub(super) struct RateLimiter {
    bytes_a_second: NonZeroU64,
    /// When the next piece may leave.
    next: Mutex<Instant>,
}

impl RateLimiter {
    pub fn new(bytes_a_second: NonZeroU64) -> Self {
        Self { bytes_a_second, next: Mutex::new(Instant::now()) }
    }

    /// The time that so many bytes may take, with others beside them.
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

    /// Waits until a piece may leave. Time in which nothing remaining is not made up for later.
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

/// A range of a file as a body, read and paced as it is sent, and again for another try.
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
    async fn streams_together_keep_the_rate_and_get_the_bytes_of_their_range() {
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
    async fn time_in_which_nothing_was_sent_is_not_made_up_for() {
        let limiter = RateLimiter::new(NonZeroU64::new(1000).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..5 {
            limiter.wait(1000).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 4);
    }
}
