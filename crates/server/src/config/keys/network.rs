//! Where it listens, and how it receives media.

use super::{Key, key};

pub(super) fn ports() -> Vec<Key> {
    vec![
        key(
            "grpc.listen",
            |c| &mut c.grpc.listen,
            "Where gRPC listens, `host:port`; `:port` is every IPv4 address.",
        )
        .legacy("BIND_ADDRESS"),
        key("grpc.max_message_bytes", |c| &mut c.grpc.max_message_bytes, "The largest message that is read."),
        key(
            "http.listen",
            |c| &mut c.http.listen,
            "Where HTTP listens: JSON routes; metrics and probes, which ask for no token.",
        ),
        key(
            "http.cors_origins",
            |c| &mut c.http.cors_origins,
            "Web origins whose pages may call (JSON and gRPC-web); `*` is all.",
        ),
        key(
            "http.public_url",
            |c| &mut c.http.public_url,
            "How callers reach the HTTP port, such as `https://recorder.example`: what download links of the local \
             object directory begin with.",
        )
        .default("made of the listen address"),
    ]
}

pub(super) fn webrtc() -> Vec<Key> {
    vec![
        key(
            "webrtc.udp_port_range",
            |c| &mut c.webrtc.udp_port_range,
            "Media listens on the first ports of it, one a shard, UDP and ICE-TCP. `10000-10999` or \
             `10000:10999`.",
        )
        .legacy("WEBRTC_UDP_PORT_RANGE"),
        key("webrtc.shards", |c| &mut c.webrtc.shards, "Threads that receive media; 0 is one a core."),
        key("webrtc.listen_ips", |c| &mut c.webrtc.listen_ips, "Addresses that media listens on.")
            .default("all of the machine but loopback, and loopback too while gRPC listens on loopback"),
        key(
            "webrtc.public_ips",
            |c| &mut c.webrtc.public_ips,
            "Addresses that are announced instead of those (NAT 1:1).",
        ),
        key(
            "webrtc.ice_tcp",
            |c| &mut c.webrtc.ice_tcp,
            "Whether ICE over TCP is offered, on the same ports.",
        ),
        key(
            "webrtc.codecs",
            |c| &mut c.webrtc.codecs,
            "Codecs that are accepted, best first. `VP8` or `video/VP8`.",
        )
        .legacy("WEBRTC_CODECS"),
        key(
            "webrtc.tick",
            |c| &mut c.webrtc.tick,
            "How often a shard drains its socket while no handshake is under way; up to four times as rarely while the socket stays nearly empty.",
        ),
        key(
            "webrtc.ice_disconnected_timeout",
            |c| &mut c.webrtc.ice_disconnected_timeout,
            "Silence until a session counts as disconnected. It records on if the client comes back.",
        )
        .legacy("WEBRTC_ICE_DISCONNECT_TIMEOUT"),
        key(
            "webrtc.ice_failed_timeout",
            |c| &mut c.webrtc.ice_failed_timeout,
            "Silence until a session ends and is sealed.",
        )
        .legacy("WEBRTC_ICE_FAILED_TIMEOUT"),
        key(
            "webrtc.ice_keepalive_interval",
            |c| &mut c.webrtc.ice_keepalive_interval,
            "Accepted for older deployments, without effect: the client sends the keepalives and the \
             recorder answers them.",
        )
        .legacy("WEBRTC_ICE_KEEPALIVE_TIMEOUT"),
        key(
            "webrtc.connect_timeout",
            |c| &mut c.webrtc.connect_timeout,
            "From the offer until media could flow; then the session ends.",
        ),
        key(
            "webrtc.receive_buffer",
            |c| &mut c.webrtc.receive_buffer,
            "The receive buffer that is asked of the kernel for each media socket.",
        ),
    ]
}

pub(super) fn limits() -> Vec<Key> {
    vec![
        key("limits.sessions", |c| &mut c.limits.sessions, "Live sessions on this node."),
        key(
            "limits.sessions_per_tenant",
            |c| &mut c.limits.sessions_per_tenant,
            "Live sessions of one tenant on this node.",
        ),
        key("limits.offer_bytes", |c| &mut c.limits.offer_bytes, "The largest SDP offer."),
        key("limits.session_time", |c| &mut c.limits.session_time, "The longest session; `0` is no limit."),
        key(
            "limits.recording_bytes",
            |c| &mut c.limits.recording_bytes,
            "The largest recording; `0` is no limit.",
        ),
        key(
            "limits.min_free_bytes",
            |c| &mut c.limits.min_free_bytes,
            "New sessions are refused while the spool's disk has less room than this.",
        ),
        key("limits.name_bytes", |c| &mut c.limits.name_bytes, "The longest name and correlation id."),
    ]
}
