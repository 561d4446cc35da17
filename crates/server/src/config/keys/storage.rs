//! Where recordings, their metadata and their objects are.

use super::{Key, key};

pub(super) fn storage() -> Vec<Key> {
    vec![
        key(
            "spool.directory",
            |c| &mut c.spool.directory,
            "Files that are being written, and those not yet in the object store.",
        )
        .legacy("CACHE_TEMP_DIR")
        .default("`<data_dir>/spool`"),
        key(
            "spool.sync_interval",
            |c| &mut c.spool.sync_interval,
            "How often what was written is forced to disk.",
        ),
        key(
            "spool.max_waiting_bytes",
            |c| &mut c.spool.max_waiting_bytes,
            "Bytes of one session that may wait for the disk.",
        ),
        key(
            "spool.stall_timeout",
            |c| &mut c.spool.stall_timeout,
            "A disk that takes nothing for this long ends the session; what is there is kept.",
        ),
        key("spool.writers", |c| &mut c.spool.writers, "Threads that write."),
        key(
            "store.url",
            |c| &mut c.store.url,
            "The database: `postgres://user:password@host/database`, or the path of an SQLite file.",
        )
        .legacy("DATA_SOURCE")
        .default("`<data_dir>/recorder.db`"),
        key("store.max_connections", |c| &mut c.store.max_connections, "Connections at most (Postgres)."),
        key(
            "store.auto_migrate",
            |c| &mut c.store.auto_migrate,
            "Bring the schema up to date at the start. If false, a start on Postgres with an older \
             schema is refused; SQLite is always brought up to date.",
        ),
    ]
}

pub(super) fn blob() -> Vec<Key> {
    vec![
        key("blob.base_path", |c| &mut c.blob.base_path, "The first part of every object key."),
        key(
            "blob.local.directory",
            |c| &mut c.blob.local.directory,
            "Where objects are kept while no bucket is named.",
        )
        .default("`<data_dir>/objects`"),
        key("blob.s3.bucket", |c| &mut c.blob.s3.bucket, "The bucket. Naming one means S3."),
        key(
            "blob.s3.endpoint",
            |c| &mut c.blob.s3.endpoint,
            "The endpoint of a store that is not AWS, such as `https://minio:9000`.",
        ),
        key("blob.s3.region", |c| &mut c.blob.s3.region, "The region."),
        key(
            "blob.s3.path_style",
            |c| &mut c.blob.s3.path_style,
            "The bucket in the path instead of the host name: most stores that are not AWS want it.",
        ),
        key("blob.s3.access_key", |c| &mut c.blob.s3.access_key, "The access key. Secret.")
            .default("what the AWS environment gives"),
        key("blob.s3.secret_key", |c| &mut c.blob.s3.secret_key, "Its secret. Secret.")
            .default("what the AWS environment gives"),
        key(
            "blob.s3.checksum",
            |c| &mut c.blob.s3.checksum,
            "Whether requests carry the checksums that some stores don't know.",
        )
        .default("true on AWS, false with an endpoint"),
        key(
            "blob.s3.part_bytes",
            |c| &mut c.blob.s3.part_bytes,
            "The size of a part of a multipart upload, 5MiB or more. A recording is uploaded while it goes on, part by \
             part, from the first on; after each 1,000 parts they are twice as large.",
        ),
        key(
            "blob.s3.bytes_per_second",
            |c| &mut c.blob.s3.bytes_per_second,
            "The most that all uploads of this node together send in a second; `0` is no limit.",
        ),
    ]
}
