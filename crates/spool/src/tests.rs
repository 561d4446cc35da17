//! Queue and writers, with files that fail on demand.

use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{MediaFile, SpoolFailure, SpoolFile, WriteOutcome, Writers};

/// A file in memory.
#[derive(Debug, Default)]
struct Memory {
    content: Mutex<Vec<u8>>,
    /// Bytes that fit; none: no limit.
    room: Option<usize>,
    /// Writes wait while it is closed.
    gate: Gate,
    sync_fails: bool,
}

#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let closed = self.closed.lock().unwrap();
        drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
    }
}

#[derive(Debug)]
struct Handle(Arc<Memory>);

impl MediaFile for Handle {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.gate.pass();
        let mut content = self.0.content.lock().unwrap();
        let end = offset as usize + bytes.len();
        if self.0.room.is_some_and(|room| end > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = content.len().max(end);
        content.resize(length, 0);
        content[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn empty(&self) -> io::Result<()> {
        self.0.content.lock().unwrap().clear();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.0.sync_fails { Err(io::Error::other("a broken disk")) } else { Ok(()) }
    }
}

/// Tests pass this time as an argument and never wait for it. No working disk is as slow.
const STALL: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);

fn file(writers: &Writers, memory: &Arc<Memory>, budget: usize) -> SpoolFile {
    let writer = writers.of(model::SessionId::new());
    SpoolFile::new(Box::new(Handle(Arc::clone(memory))), writer, budget, STALL)
}

fn writers() -> Writers {
    Writers::start(2, Duration::from_millis(1)).unwrap()
}

#[tokio::test]
async fn writes_of_many_files_reach_the_disk_in_order() {
    let writers = writers();
    let mut ended = Vec::new();
    let mut files: Vec<_> = (0..8)
        .map(|_| {
            let memory = Arc::new(Memory::default());
            (file(&writers, &memory, 1 << 20), memory)
        })
        .collect();
    for round in 0..200_u8 {
        for (file, _) in &mut files {
            let now = Instant::now();
            file.append(Bytes::from(vec![round; 100]), now).unwrap();
            file.patch(u64::from(round) * 100, Bytes::from_static(&[0xFF]), now).unwrap();
        }
    }
    let expected: Vec<u8> =
        (0..200_u8).flat_map(|round| std::iter::once(0xFF).chain(std::iter::repeat_n(round, 99))).collect();
    for (file, memory) in files {
        ended.push((file.finish().1, memory));
    }
    for (written, memory) in ended {
        assert_eq!(written.await.unwrap(), WriteOutcome { bytes: 20_000, failure: None });
        assert_eq!(*memory.content.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_session_and_leaves_no_hole_in_the_file() {
    let writers = writers();
    let memory = Arc::new(Memory { room: Some(2500), ..Memory::default() });
    let mut file = file(&writers, &memory, 1 << 20);
    let now = Instant::now();
    let mut refused = None;
    for _ in 0..3 {
        refused = file.append(Bytes::from(vec![7; 1000]), now).err();
    }
    while file.check(now).is_ok() {
        assert!(now.elapsed() < PATIENCE, "a full disk accepts every write");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(refused, None | Some(SpoolFailure::Full)), "{refused:?}");
    assert_eq!(file.check(now), Err(SpoolFailure::Full));
    assert_eq!(file.append(Bytes::from_static(b"more"), now), Err(SpoolFailure::Full));
    let (_, written) = file.finish();
    assert_eq!(written.await.unwrap(), WriteOutcome { bytes: 2000, failure: Some(SpoolFailure::Full) });
    assert_eq!(memory.content.lock().unwrap().len(), 2000);
}

#[tokio::test]
async fn a_disk_that_writes_nothing_stalls_the_session_and_the_queue_is_written_later() {
    let writers = writers();
    let memory = Arc::new(Memory::default());
    memory.gate.set_closed(true);
    let mut file = file(&writers, &memory, 1 << 20);
    let start = Instant::now();
    file.append(Bytes::from_static(b"media"), start).unwrap();
    assert_eq!(file.check(start + STALL), Ok(()));
    assert_eq!(file.check(start + STALL * 2), Err(SpoolFailure::Stalled));
    assert_eq!(file.append(Bytes::from_static(b"more"), start), Err(SpoolFailure::Stalled));
    let (_, written) = file.finish();
    memory.gate.set_closed(false);
    assert_eq!(written.await.unwrap(), WriteOutcome { bytes: 5, failure: Some(SpoolFailure::Stalled) });
}

#[test]
fn a_queue_over_its_budget_fails_the_session_and_leaves_no_hole_in_the_file() {
    let writers = writers();
    let memory = Arc::new(Memory::default());
    memory.gate.set_closed(true);
    let mut file = file(&writers, &memory, 250);
    let now = Instant::now();
    for _ in 0..2 {
        file.append(Bytes::from(vec![1; 100]), now).unwrap();
    }
    assert_eq!(file.append(Bytes::from(vec![2; 100]), now), Err(SpoolFailure::Stalled));
    assert_eq!(file.append(Bytes::from(vec![3; 1]), now), Err(SpoolFailure::Stalled));
    memory.gate.set_closed(false);
    drop(file);
    drop(writers);
    assert_eq!(*memory.content.lock().unwrap(), vec![1; 200]);
}

fn final_until(until: u64) -> media::FinalBytes {
    let time = Duration::from_millis(until);
    media::FinalBytes { from: 10, until, time, entries: 1, container: media::Container::Webm }
}

#[tokio::test]
async fn bytes_are_final_once_every_earlier_write_is_on_disk() {
    let writers = Writers::start(1, Duration::from_millis(20)).unwrap();
    let memory = Arc::new(Memory::default());
    let mut file = file(&writers, &memory, 1 << 20);
    let (now, queue) = (Instant::now(), Arc::clone(file.queue()));
    let until = |bytes| Some(final_until(bytes));
    let becomes = async |expected| {
        let deadline = Instant::now() + PATIENCE;
        while queue.durable() != expected && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        queue.durable() == expected
    };
    file.append(Bytes::from(vec![1; 100]), now).unwrap();
    assert_eq!(queue.durable(), None);
    file.note_final(until(50), now);
    assert!(becomes(until(50)).await);
    memory.gate.set_closed(true);
    file.append(Bytes::from(vec![2; 100]), now).unwrap();
    file.patch(60, Bytes::from_static(&[3; 8]), now).unwrap();
    file.note_final(until(150), now);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(queue.durable(), until(50), "the patch before it is not written yet");
    memory.gate.set_closed(false);
    assert!(becomes(until(150)).await);
    file.restart(now).unwrap();
    assert!(becomes(None).await);
}

#[tokio::test]
async fn bytes_of_a_failed_sync_are_not_final() {
    let writers = Writers::start(1, Duration::from_millis(5)).unwrap();
    let memory = Arc::new(Memory { sync_fails: true, ..Memory::default() });
    let mut file = file(&writers, &memory, 1 << 20);
    let now = Instant::now();
    file.append(Bytes::from(vec![1; 100]), now).unwrap();
    file.note_final(Some(final_until(50)), now);
    while file.check(now).is_ok() {
        assert!(now.elapsed() < PATIENCE, "the failed sync was not noticed");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(file.check(now), Err(SpoolFailure::Broken));
    assert_eq!(file.queue().durable(), None);
}

#[test]
fn an_idle_session_does_not_stall() {
    let writers = writers();
    let file = file(&writers, &Arc::new(Memory::default()), 100);
    assert_eq!(file.check(Instant::now() + STALL * 100), Ok(()));
}

#[tokio::test]
async fn each_write_is_reported_as_progress() {
    let writers = writers();
    let memory = Arc::new(Memory::default());
    memory.gate.set_closed(true);
    let mut file = file(&writers, &memory, 1 << 20);
    file.append(Bytes::from(vec![1; 100]), Instant::now()).unwrap();
    assert_eq!(file.waiting_bytes(), 100);
    assert!(tokio::time::timeout(Duration::from_millis(150), file.progressed()).await.is_err());
    memory.gate.set_closed(false);
    tokio::time::timeout(PATIENCE, file.progressed()).await.unwrap();
    assert_eq!(file.waiting_bytes(), 0);
}
