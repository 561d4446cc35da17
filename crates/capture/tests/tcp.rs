//! A client behind a network without UDP is recorded over ICE-TCP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;

use model::EndReason;
use support::{LOOPBACK, Node, audio_and_video, tenant};
use testkit::{sender::Driver, verify};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

/// Forwards the datagrams of one client over TCP (RFC 4571). Returns the UDP address that the client sends to.
async fn forward(server: SocketAddr) -> SocketAddr {
    let udp = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let address = udp.local_addr().unwrap();
    let (mut read, mut write) = TcpStream::connect(server).await.unwrap().into_split();
    tokio::spawn(async move {
        let mut datagram = vec![0; 2048];
        let (length, client) = udp.recv_from(&mut datagram).await.unwrap();
        udp.connect(client).await.unwrap();
        let up = async {
            let mut length = length;
            loop {
                write.write_u16(length as u16).await.unwrap();
                write.write_all(&datagram[..length]).await.unwrap();
                length = udp.recv(&mut datagram).await.unwrap();
            }
        };
        let down = async {
            while let Ok(length) = read.read_u16().await {
                let mut datagram = vec![0; usize::from(length)];
                read.read_exact(&mut datagram).await.unwrap();
                udp.send(&datagram).await.unwrap();
            }
        };
        tokio::select! { () = up => {}, () = down => {} }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_over_tcp_is_recorded_whole() {
    let node = Node::start().await;
    let driver = Driver::start().unwrap();
    let sender = driver.add(audio_and_video(), LOOPBACK).await.unwrap();
    let begun = node.begin(sender.offer().await.unwrap()).await;
    let server = node.capture.media_addresses()[0];
    assert!(begun.sdp_answer.contains("tcptype passive"), "{}", begun.sdp_answer);
    let forwarder = forward(server).await;
    // The sender only uses UDP: the answer leads it to the forwarder.
    let answer = begun
        .sdp_answer
        .replace(&format!("127.0.0.1 {}", server.port()), &format!("127.0.0.1 {}", forwarder.port()));
    sender.accept_answer(answer).await.unwrap();
    let call = support::Call { begun, sender };
    call.send_frames(45).await;
    let recording = node.capture.stop(&tenant(), call.begun.id, EndReason::Requested).await.unwrap();
    let media = node.media(&recording);
    verify::decode_strictly(&media).unwrap();
    let counters = verify::Counters::of(&verify::pictures(&media, 0).unwrap(), 360);
    assert!(counters.is_whole(), "{counters:?}");
}
