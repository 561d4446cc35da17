//! The node itself: who it is, who may call it, what it tells.

use super::{Key, key};

pub(super) fn general() -> Vec<Key> {
    vec![
        key("data_dir", |c| &mut c.data_dir, "Holds `recorder.db`, `spool/` and `objects/`.").default(
            "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/webrtc-recorder`, else \
                `~/.local/state/webrtc-recorder`",
        ),
        key("insecure", |c| &mut c.insecure, "Listen beyond loopback without authentication."),
        key(
            "node.id",
            |c| &mut c.node.id,
            "This node's id, unlike that of every other node on the same database.",
        )
        .legacy("ID")
        .default("made at the first start, kept in `<data_dir>/node-id`"),
        key(
            "node.advertise",
            |c| &mut c.node.advertise,
            "Where other nodes reach this one's gRPC: `host` or `host:port`.",
        )
        .legacy("PROXY_GRPC_HOST")
        .default("the listen address, or the machine's first address"),
        key(
            "node.heartbeat",
            |c| &mut c.node.heartbeat,
            "How often the node says in the database that it lives. After three times as long it counts \
             as dead.",
        ),
        key(
            "node.lost_after",
            |c| &mut c.node.lost_after,
            "A node that has been silent for so long is lost: another one completes its uploads with the parts that are \
             there, and says what is missing; what it has uploaded nothing of is parked. If the node comes back, what is on \
             its disk takes the place of that. `0` is never.",
        ),
        key(
            "shutdown.timeout",
            |c| &mut c.shutdown.timeout,
            "How long live sessions may take to be sealed at the end. What is not sealed by then is at \
             the next start.",
        ),
    ]
}

pub(super) fn access() -> Vec<Key> {
    vec![
        key(
            "auth.tokens",
            |c| &mut c.auth.tokens,
            "Tokens that may call, each `{ tenant = \"…\", role = \"viewer|recorder|admin\", sha256 = \
             \"…\", name = \"…\" }`; `sha256` as of `printf %s \"$TOKEN\" | sha256sum`. Secret.",
        ),
        key("tls.certificate", |c| &mut c.tls.certificate, "Certificate chain of both ports, PEM."),
        key("tls.key", |c| &mut c.tls.key, "Its private key, PEM."),
        key(
            "tls.client_ca",
            |c| &mut c.tls.client_ca,
            "Clients have to show a certificate of this authority, PEM. Other nodes are checked against \
             it too.",
        ),
    ]
}

pub(super) fn telemetry() -> Vec<Key> {
    vec![
        key(
            "log.level",
            |c| &mut c.log.level,
            "The least level that is written: trace, debug, info, warn, error. `RUST_LOG` goes before it.",
        )
        .legacy("LOG_LVL"),
        key("log.json", |c| &mut c.log.json, "Whether a line is a JSON object.").legacy("LOG_JSON"),
        key("log.file", |c| &mut c.log.file, "A file to append to instead of standard error.")
            .legacy("LOG_FILE"),
        key("otel.endpoint", |c| &mut c.otel.endpoint, "Where traces go by OTLP over gRPC.")
            .legacy("OTEL_EXPORTER_OTLP_ENDPOINT"),
        key("otel.service_name", |c| &mut c.otel.service_name, "The name of this service in traces.")
            .legacy("OTEL_SERVICE_NAME"),
        key(
            "consul.address",
            |c| &mut c.consul.address,
            "The Consul agent. Accepted for older deployments; this version does not register.",
        )
        .legacy("CONSUL"),
    ]
}
