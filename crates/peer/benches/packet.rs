//! What one packet costs: from the encrypted datagram to the event, feedback included.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use peer::{Endpoint, Protocol};
use support::raw::{RawClient, rtp_with_transport_cc};

const BATCH: u64 = 1000;
const SSRC: u32 = 7;
/// 720p VP8 with Opus in the lab: some 240 packets a second.
const INTERVAL: Duration = Duration::from_micros(4200);
/// A shard wakes each 5 ms.
const PACKETS_A_TICK: u64 = 2;

#[allow(clippy::disallowed_methods, reason = "what is measured is time")]
fn measured(client: &mut RawClient, next: &mut u64, payload: &[u8], iterations: u64) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let count = left.min(BATCH);
        let packets: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                *next += 1;
                let number = *next as u16;
                client.encrypt(&rtp_with_transport_cc(96, number, SSRC, number, payload))
            })
            .collect();
        let source = Endpoint { protocol: Protocol::Udp, address: client.source };
        let begin = Instant::now();
        for (number, packet) in packets.iter().enumerate() {
            client.now += INTERVAL;
            client.peer.handle_datagram(client.now, client.now, source, client.server, packet);
            while let Some(event) = client.peer.poll_event() {
                black_box(event);
            }
            if (number as u64).is_multiple_of(PACKETS_A_TICK) {
                if client.peer.poll_timeout().is_some_and(|due| due <= client.now) {
                    client.peer.handle_timeout(client.now);
                }
                while let Some(transmit) = client.peer.poll_transmit() {
                    black_box(transmit);
                }
            }
        }
        total += begin.elapsed();
        left -= count;
    }
    total
}

fn packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    for (name, length) in [("video of 1100 bytes", 1100), ("audio of 100 bytes", 100)] {
        let mut client = RawClient::connected();
        let mut next = 0;
        let payload = vec![0x5a; length];
        // The source becomes known.
        measured(&mut client, &mut next, &payload, BATCH);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| measured(&mut client, &mut next, &payload, iterations));
        });
        let received = client.peer.statistics().tracks[0].1.packets;
        assert_eq!(received, next, "packets were dropped");
    }
    group.finish();
}

fn unauthenticated(criterion: &mut Criterion) {
    let mut client = RawClient::connected();
    let source = Endpoint { protocol: Protocol::Udp, address: client.source };
    let mut ssrc = 0_u32;
    let forged = vec![0x55; 1100];
    criterion.bench_function("packet of a forged source", |bencher| {
        bencher.iter(|| {
            ssrc = ssrc.wrapping_add(1);
            let mut packet = forged.clone();
            packet[..2].copy_from_slice(&[0x80, 96]);
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            client.peer.handle_datagram(client.now, client.now, source, client.server, &packet);
        });
    });
    client.drain();
}

criterion_group!(benches, packet, unauthenticated);
criterion_main!(benches);
