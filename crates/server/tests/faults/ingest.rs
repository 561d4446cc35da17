//! Recordings made quickly: pushed audio is recorded faster than real time.

use std::time::Duration;

use proto::recorder::v1::{
    AudioData, AudioHeader, PcmFormat, RecordAudioRequest, RecordAudioResponse, audio_header::Format,
    ingest_service_client::IngestServiceClient, record_audio_request::Message,
};
use rand::{RngCore as _, SeedableRng as _, rngs::SmallRng};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, transport::Channel};

/// Samples per second, of two channels.
const RATE: i32 = 48_000;
/// 256 KiB: a quarter of the largest message.
const PIECE: usize = 256 << 10;

/// A push in progress.
pub struct Push {
    /// Bytes of audio.
    pub bytes: usize,
    answer: JoinHandle<Result<RecordAudioResponse, Status>>,
}

impl Push {
    /// Sends `bytes` of noise that does not repeat, 256 KiB every `every`, and ends the stream.
    pub fn begin(channel: Channel, name: &str, bytes: usize, every: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(2);
        let header = AudioHeader {
            name: name.to_owned(),
            format: Some(Format::Pcm(PcmFormat { sample_rate: RATE, channels: 2 })),
            ..Default::default()
        };
        tokio::spawn(async move {
            let message = |message| RecordAudioRequest { message: Some(message) };
            if sender.send(message(Message::Header(header))).await.is_err() {
                return;
            }
            let mut noise = SmallRng::seed_from_u64(bytes as u64);
            let mut left = bytes;
            while left > 0 {
                let mut data = vec![0; left.min(PIECE)];
                noise.fill_bytes(&mut data);
                left -= data.len();
                let audio = AudioData { data, timestamp: None, duration: None };
                if sender.send(message(Message::Audio(audio))).await.is_err() {
                    return;
                }
                tokio::time::sleep(every).await;
            }
        });
        let call = async move {
            let mut client = IngestServiceClient::new(channel);
            client.record_audio(ReceiverStream::new(receiver)).await.map(tonic::Response::into_inner)
        };
        Self { bytes, answer: tokio::spawn(call) }
    }

    /// Waits for the recorder's response.
    pub async fn end(self) -> Result<RecordAudioResponse, Status> {
        self.answer.await.unwrap_or_else(|error| Err(Status::unknown(error.to_string())))
    }
}

/// The duration of so many bytes.
pub fn length(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / f64::from(RATE * 4))
}
