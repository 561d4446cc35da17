//! A node with its own spool and ledger, and a sender to record.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use capture::{
    Begun, Capture, CaptureConfig, Ledger, LedgerError, Limits, NewSession, PortRange, SpoolConfig,
    WebrtcConfig,
};
use model::{Channel, Recording, SessionId, TenantId};
use tempfile::TempDir;
use testkit::{
    sender::{Driver, SenderConfig, Session, Track},
    signal::{Clip, ClipSpec, Codec, clip},
};
use tokio::net::UdpSocket;

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A ledger in memory that can be made unavailable.
#[derive(Default)]
pub struct Memory {
    pub began: Mutex<Vec<Recording>>,
    pub finalized: Mutex<Vec<Recording>>,
    pub paused: Mutex<Vec<(SessionId, bool)>>,
    pub away: AtomicBool,
}

#[async_trait::async_trait]
impl Ledger for Memory {
    async fn began(&self, recording: &Recording) -> Result<(), LedgerError> {
        self.check_available()?;
        self.began.lock().unwrap().push(recording.clone());
        Ok(())
    }

    async fn paused(&self, _: &TenantId, id: SessionId, paused: bool) -> Result<(), LedgerError> {
        self.check_available()?;
        self.paused.lock().unwrap().push((id, paused));
        Ok(())
    }

    async fn finalized(&self, recording: &Recording) -> Result<(), LedgerError> {
        self.check_available()?;
        self.finalized.lock().unwrap().push(recording.clone());
        Ok(())
    }
}

impl Memory {
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn check_available(&self) -> Result<(), LedgerError> {
        if self.away.load(Ordering::SeqCst) { Err(LedgerError("away".to_owned())) } else { Ok(()) }
    }

    /// The recording, once it is committed.
    pub async fn wait_for_one(&self) -> Recording {
        eventually("a recording is committed", || self.finalized.lock().unwrap().last().cloned()).await
    }
}

/// A node, its ledger and its spool.
pub struct Node {
    pub capture: Capture,
    pub ledger: Arc<Memory>,
    pub config: CaptureConfig,
    pub spool: TempDir,
}

pub fn config(spool: PathBuf) -> CaptureConfig {
    CaptureConfig {
        node: Default::default(),
        base_path: "records".to_owned(),
        webrtc: WebrtcConfig {
            udp_port_range: PortRange(0..=0),
            shards: 1,
            listen_ips: vec![LOOPBACK],
            receive_buffer: (1 << 20).into(),
            ..Default::default()
        },
        limits: Limits { min_free_bytes: 0.into(), ..Default::default() },
        spool: SpoolConfig { directory: spool, ..Default::default() },
    }
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut CaptureConfig)) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut config = config(spool.path().to_owned());
        change(&mut config);
        let ledger = Arc::new(Memory::default());
        let capture = Capture::start(config.clone(), ledger.clone()).await.unwrap();
        Self { capture, ledger, config, spool }
    }

    /// Crashes the node and starts it again on the same spool, with an empty ledger.
    pub async fn crash_and_restart(self) -> Self {
        let Self { capture, config, spool, .. } = self;
        drop(capture);
        let ledger = Arc::new(Memory::default());
        let started = eventually_async("the spool is free", || async {
            Capture::start(config.clone(), ledger.clone()).await.ok()
        });
        let capture = started.await;
        Self { capture, ledger, config, spool }
    }

    pub async fn begin(&self, sdp_offer: String) -> Begun {
        self.capture.begin(session(sdp_offer)).await.unwrap()
    }

    /// Begins a session with a sender that plays the tracks of `config`.
    pub async fn call(&self, driver: &Driver, config: SenderConfig) -> Call {
        let sender = driver.add(config, LOOPBACK).await.unwrap();
        let begun = self.begin(sender.offer().await.unwrap()).await;
        sender.accept_answer(begun.sdp_answer.clone()).await.unwrap();
        Call { begun, sender }
    }

    /// The finished file of a recording.
    pub fn media(&self, recording: &Recording) -> PathBuf {
        let extension = recording.container.expect("it has media").extension();
        self.directory(recording).join(format!("{}.{extension}", recording.id))
    }

    pub fn directory(&self, recording: &Recording) -> PathBuf {
        self.spool.path().join(recording.id.to_string())
    }

    /// The number of recordings' directories.
    pub fn directories(&self) -> usize {
        let entries = std::fs::read_dir(self.spool.path()).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir()).count()
    }
}

/// A session and its sender.
pub struct Call {
    pub begun: Begun,
    pub sender: Session,
}

impl Call {
    /// Waits until this many frames of the first track were sent.
    pub async fn send_frames(&self, frames: u64) {
        eventually_async("frames are sent", || async {
            (self.sender.stats().await.frames.first() >= Some(&frames)).then_some(())
        })
        .await;
    }
}

pub fn tenant() -> TenantId {
    TenantId::default()
}

pub fn session(sdp_offer: String) -> NewSession {
    NewSession {
        tenant: tenant(),
        name: String::new(),
        correlation_id: "c-1".to_owned(),
        channel: Channel::Call,
        sdp_offer,
    }
}

pub static VIDEO: LazyLock<Arc<Clip>> = LazyLock::new(|| clip(ClipSpec::small(Codec::Vp8)).unwrap());
pub static AUDIO: LazyLock<Arc<Clip>> = LazyLock::new(|| clip(ClipSpec::beep()).unwrap());

/// VP8 and Opus.
pub fn audio_and_video() -> SenderConfig {
    SenderConfig::playing([Track::of(VIDEO.clone()), Track::of(AUDIO.clone())])
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Polls `ask` until it returns a value.
pub async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    eventually_async(what, || std::future::ready(ask())).await
}

pub async fn eventually_async<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("this did not happen in time: {what}"))
}

/// A NAT between a sender and a node. The node sees the NAT's outside address as the sender's.
pub struct Nat {
    inside: Arc<UdpSocket>,
    outside: Arc<Mutex<Arc<UdpSocket>>>,
    server: SocketAddr,
    client: Arc<Mutex<Option<SocketAddr>>>,
}

impl Nat {
    pub async fn towards(server: SocketAddr) -> Self {
        let inside = Arc::new(UdpSocket::bind((LOOPBACK, 0)).await.unwrap());
        let first = Arc::new(UdpSocket::bind((LOOPBACK, 0)).await.unwrap());
        let nat = Self { inside, outside: Arc::new(Mutex::new(first)), server, client: Arc::default() };
        nat.forward_to_client();
        let (inside, outside, client) = (nat.inside.clone(), nat.outside.clone(), nat.client.clone());
        tokio::spawn(async move {
            let mut datagram = [0; 2048];
            while let Ok((length, source)) = inside.recv_from(&mut datagram).await {
                *client.lock().unwrap() = Some(source);
                let outside = outside.lock().unwrap().clone();
                let _ = outside.send_to(&datagram[..length], server).await;
            }
        });
        nat
    }

    /// The answer with the NAT's address instead of the node's.
    pub fn rewrite(&self, answer: &str) -> String {
        let (server, inside) = (self.server, self.inside.local_addr().unwrap());
        let address = |address: SocketAddr| format!("{} {}", address.ip(), address.port());
        let others = |line: &&str| !line.starts_with("a=candidate") || line.contains(&address(server));
        let lines: Vec<_> = answer.lines().filter(others).collect();
        (lines.join("\r\n") + "\r\n").replace(&address(server), &address(inside))
    }

    /// Gives the sender another outside address. The previous one forwards nothing any more.
    pub async fn rebind(&self) {
        let fresh = Arc::new(UdpSocket::bind((LOOPBACK, 0)).await.unwrap());
        *self.outside.lock().unwrap() = fresh;
        self.forward_to_client();
    }

    fn forward_to_client(&self) {
        let (inside, client) = (self.inside.clone(), self.client.clone());
        let outside = self.outside.lock().unwrap().clone();
        let current = self.outside.clone();
        tokio::spawn(async move {
            let mut datagram = [0; 2048];
            while let Ok((length, _)) = outside.recv_from(&mut datagram).await {
                if !Arc::ptr_eq(&outside, &current.lock().unwrap()) {
                    return;
                }
                let client = *client.lock().unwrap();
                if let Some(client) = client {
                    let _ = inside.send_to(&datagram[..length], client).await;
                }
            }
        });
    }
}
