//! Counts datagrams that the kernel dropped because a receive buffer was full: a sign of an overloaded shard.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// How often they are counted.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reports the drops of the sockets on these addresses until cancelled.
pub(crate) async fn report(addresses: Vec<SocketAddr>, cancelled: CancellationToken) {
    let report = async {
        loop {
            let addresses = addresses.clone();
            // Without /proc nothing is reported.
            if let Ok(Ok(drops)) = spawn_blocking(move || count(&addresses)).await {
                metrics::receive_drops(drops);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    cancelled.run_until_cancelled(report).await;
}

fn count(addresses: &[SocketAddr]) -> io::Result<u64> {
    let v4 = fs::read_to_string("/proc/net/udp")?;
    let v6 = fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    let ours: Vec<String> = addresses.iter().map(kernel_form).collect();
    Ok(drops_of(&v4, &ours) + drops_of(&v6, &ours))
}

/// The last column of the lines whose local address is one of these (proc(5)).
fn drops_of(table: &str, addresses: &[String]) -> u64 {
    let drops = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let local = columns.nth(1)?;
        addresses.iter().any(|address| address == local).then(|| columns.next_back()?.parse::<u64>().ok())?
    };
    table.lines().filter_map(drops).sum()
}

/// An address as the kernel prints it: 32-bit words in network byte order, as numbers of the machine.
fn kernel_form(address: &SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = octets.chunks_exact(4).map(|word| {
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        format!("{word:08X}")
    });
    format!("{}:{:04X}", words.collect::<String>(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::shard::bind;

    #[test]
    fn a_full_receive_buffer_is_counted() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(count(&[address]).unwrap(), 0);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1200], address).unwrap();
        }
        let drops = count(&[address]).unwrap();
        assert!((50..100).contains(&drops), "{drops}");
    }
}
