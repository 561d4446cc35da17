//! Floods of records that libssl would buffer during a handshake use little memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod support;

use support::raw::{RawClient, fragment, record};

/// Bytes that malloc has allocated in the process, libssl's included. This binary has one test.
#[allow(unsafe_code, reason = "mallinfo2 is a C function")]
fn malloc_bytes() -> usize {
    // SAFETY: the function takes nothing and returns a plain struct.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// A client whose first flight has been answered.
fn half_way() -> RawClient {
    let mut client = RawClient::new();
    client.start_session();
    client.exchange();
    client
}

#[test]
fn floods_in_mid_handshake_use_little_memory() {
    type Flood = (&'static str, fn(u64) -> Vec<u8>);
    let table: [Flood; 10] = [
        ("one-byte fragments", |n| record(22, 0, n + 50, &fragment(1, 1, 8000, (n % 7999) as u32 + 1, &[0]))),
        ("zero-length fragments", |n| {
            let many: Vec<u8> = (0..90).flat_map(|_| fragment(1, 7, 0, 0, &[])).collect();
            record(22, 0, n + 50, &many)
        }),
        ("zero-length fragments of a long message", |n| {
            let many: Vec<u8> = (0..90).flat_map(|_| fragment(1, 7, 100, 0, &[])).collect();
            record(22, 0, n + 50, &many)
        }),
        ("future messages of 8 KB", |n| {
            record(22, 0, n + 50, &fragment(1, (n % 30) as u16, 8000, 1, &[0; 9]))
        }),
        ("future messages of 100 KB", |n| {
            record(22, 0, n + 50, &fragment(1, (n % 30) as u16 + 1, 100_000, 1, &[0; 9]))
        }),
        ("all fragments but one", |n| {
            let offset = 1 + (n % 7) as u32 * 1100;
            record(22, 0, n + 50, &fragment(1, (n / 7 % 30) as u16 + 1, 8000, offset, &[0; 1100]))
        }),
        ("early handshake records of 16 KB", |n| record(22, 1, n, &vec![1; 16_000])),
        ("early handshake records of 500 bytes", |n| record(22, 1, n, &[1; 500])),
        ("early records in the shape of Finished", |n| record(22, 1, n, &[1; 48])),
        ("early data", |n| record(23, 1, n, &[1; 1000])),
    ];
    for (what, datagram) in table {
        let clients: Vec<RawClient> = (0..4).map(|_| half_way()).collect();
        let before = malloc_bytes();
        let clients: Vec<RawClient> = clients
            .into_iter()
            .map(|mut client| {
                for number in 0..3000 {
                    client.input(&datagram(number));
                }
                client
            })
            .collect();
        let each = malloc_bytes().saturating_sub(before) / clients.len();
        assert!(each < 300_000, "{what}: {each} bytes a session");
        for client in &clients {
            assert!(!client.peer.is_closed(), "{what}");
        }
    }
}
