//! Sessions on a failing disk: the bytes written before stay, and the recording has the reason.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use model::{EndReason, Recording, SessionId, TenantId};
use spool::{Files, MediaFile, OsFiles};
use testkit::{
    sender::{Driver, SenderConfig, Session, Track},
    signal::{ClipSpec, Codec, clip},
    verify,
};

use crate::{
    CaptureConfig, Ledger, LedgerError, Limits, NewSession, PortRange, SpoolConfig, WebrtcConfig,
    begin::begin, node::Node, start,
};

/// A disk with a limited size, which can be made to block.
#[derive(Debug, Default)]
struct Disk {
    room: AtomicU64,
    stuck: AtomicBool,
}

#[derive(Debug)]
struct FilesOn(Arc<Disk>);

#[derive(Debug)]
struct FileOn(Arc<Disk>, Box<dyn MediaFile>);

impl Files for FilesOn {
    fn create(&self, path: &Path) -> io::Result<Box<dyn MediaFile>> {
        Ok(Box::new(FileOn(Arc::clone(&self.0), OsFiles.create(path)?)))
    }
}

impl MediaFile for FileOn {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        while self.0.stuck.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let room = self.0.room.load(Ordering::Acquire);
        if offset + bytes.len() as u64 > room {
            // As a disk does: it writes the bytes that fit, then fails.
            let fits = room.saturating_sub(offset).min(bytes.len() as u64) as usize;
            self.1.write_at(&bytes[..fits], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.write_at(bytes, offset)
    }

    fn empty(&self) -> io::Result<()> {
        self.1.empty()
    }

    fn sync(&self) -> io::Result<()> {
        self.1.sync()
    }
}

#[derive(Default)]
struct Memory(Mutex<Vec<Recording>>);

#[async_trait::async_trait]
impl Ledger for Memory {
    async fn began(&self, _: &Recording) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn paused(&self, _: &TenantId, _: SessionId, _: bool) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn finalized(&self, recording: &Recording) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(recording.clone());
        Ok(())
    }
}

struct Running {
    node: Arc<Node>,
    ledger: Arc<Memory>,
    spool: tempfile::TempDir,
    _driver: Driver,
    _sender: Session,
}

/// A session that is recorded to this disk.
async fn running(disk: &Arc<Disk>) -> Running {
    let spool = tempfile::tempdir().unwrap();
    let config = CaptureConfig {
        node: model::NodeId::default(),
        base_path: String::new(),
        webrtc: WebrtcConfig {
            udp_port_range: PortRange(0..=0),
            shards: 1,
            listen_ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            ..WebrtcConfig::default()
        },
        limits: Limits { min_free_bytes: 0.into(), ..Limits::default() },
        spool: SpoolConfig {
            directory: spool.path().to_owned(),
            stall_timeout: Duration::from_secs(3).into(),
            ..SpoolConfig::default()
        },
    };
    let ledger = Arc::new(Memory::default());
    let files = Arc::new(FilesOn(Arc::clone(disk)));
    let node = Arc::new(start::start(config, ledger.clone(), files).await.unwrap());
    let driver = Driver::start().unwrap();
    let video = clip(ClipSpec::small(Codec::Vp8)).unwrap();
    let sender =
        driver.add(SenderConfig::playing([Track::of(video)]), IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
    let session = NewSession {
        tenant: model::TenantId::default(),
        name: "n".to_owned(),
        correlation_id: String::new(),
        channel: model::Channel::Call,
        sdp_offer: sender.offer().await.unwrap(),
    };
    let begun = begin(Arc::clone(&node), session).await.unwrap();
    sender.accept_answer(begun.sdp_answer).await.unwrap();
    Running { node, ledger, spool, _driver: driver, _sender: sender }
}

impl Running {
    async fn finalized(&self) -> (Recording, PathBuf) {
        for _ in 0..12_000 {
            let finalized = self.ledger.0.lock().unwrap().first().cloned();
            if let Some(recording) = finalized {
                let media = self.spool.path().join(format!("{0}/{0}.webm", recording.id));
                return (recording, media);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nothing was finalized");
    }

    fn part_bytes(&self) -> u64 {
        let directories = fs::read_dir(self.spool.path()).unwrap();
        let part = |entry: fs::DirEntry| File::open(entry.path().join("media.part")).ok()?.metadata().ok();
        directories.filter_map(|entry| part(entry.unwrap())).map(|part| part.len()).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_session_and_the_file_plays() {
    const ROOM: u64 = 123_456;
    let disk = Arc::new(Disk::default());
    disk.room.store(ROOM, Ordering::Release);
    let running = running(&disk).await;
    let (recording, media) = running.finalized().await;
    assert_eq!(recording.end_reason, Some(EndReason::DiskFull));
    assert_eq!(recording.error, None);
    let bytes = fs::metadata(&media).unwrap().len();
    assert_eq!(bytes, recording.bytes);
    assert!((ROOM / 2..ROOM + 1000).contains(&bytes), "{bytes} of {ROOM}");
    verify::decode_strictly(&media).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_blocks_ends_the_session_and_the_file_plays() {
    let disk = Arc::new(Disk::default());
    disk.room.store(u64::MAX, Ordering::Release);
    let running = running(&disk).await;
    while running.part_bytes() < 100_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.stuck.store(true, Ordering::Release);
    let entries = running.node.registry.all(None);
    let in_shard = || async { running.node.statistics().await.len() };
    while in_shard().await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((entries.len(), running.node.registry.count()), (1, 1), "it is being finalized");
    disk.stuck.store(false, Ordering::Release);
    let (recording, media) = running.finalized().await;
    assert_eq!(recording.end_reason, Some(EndReason::DiskStalled));
    verify::decode_strictly(&media).unwrap();
}
