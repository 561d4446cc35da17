//! The database and the object store of a recorder under test.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use blob::{BlobError, BlobStore as _, PartUploads as _, S3, S3Config, Secret};
use chrono::{TimeDelta, Utc};
use store_postgres::{PostgresConfig, PostgresStore};
use tempfile::TempDir;
use testkit::{
    recorder::{Recorder, RecorderConfig},
    servers::{postgres::Postgres, seaweedfs::SeaweedFs},
};

use super::{UPLOAD, config, object, ok};

/// The two configurations that every scenario runs on.
pub enum TestBackend {
    /// SQLite and a directory.
    Embedded,
    /// Postgres and S3.
    Production(Box<Production>),
}

pub struct Production {
    s3: SeaweedFs,
    database: String,
    objects: S3,
    downloads: TempDir,
}

impl TestBackend {
    pub fn embedded() -> Self {
        Self::Embedded
    }

    /// A new database on the Postgres that the process shares, and a new SeaweedFS.
    pub async fn production() -> Self {
        Self::production_with(Postgres::shared()).await
    }

    /// As [`production`](Self::production), on a Postgres that the test may stop.
    pub async fn production_with(postgres: &Postgres) -> Self {
        let s3 = ok(SeaweedFs::start().await, "SeaweedFS");
        let config = S3Config {
            endpoint: Some(s3.url()),
            path_style: true,
            access_key: Some(Secret::new(s3.access_key())),
            secret_key: Some(Secret::new(s3.secret_key())),
            ..S3Config::new(s3.bucket(), "us-east-1")
        };
        let objects = ok(S3::connect(&config).await, "a client of S3");
        let downloads = ok(TempDir::new(), "a directory");
        let database = postgres.create_database();
        Self::Production(Box::new(Production { s3, database, objects, downloads }))
    }

    pub fn config(&self) -> RecorderConfig {
        let Self::Production(production) = self else { return config() };
        let Production { s3, database, .. } = production.as_ref();
        config()
            .env("DATA_SOURCE", database)
            .env("RECORDER__BLOB__S3__BUCKET", s3.bucket())
            .env("RECORDER__BLOB__S3__ENDPOINT", s3.url())
            .env("RECORDER__BLOB__S3__PATH_STYLE", "true")
            .env("RECORDER__BLOB__S3__ACCESS_KEY", s3.access_key())
            .env("RECORDER__BLOB__S3__SECRET_KEY", s3.secret_key())
    }

    pub async fn start(&self) -> Recorder {
        ok(self.config().start().await, "the recorder starts")
    }

    /// Overwrites the object of a recording with as many bytes that are not media.
    pub async fn corrupt(&self, recorder: &Recorder, id: &str) {
        assert!(matches!(self, Self::Embedded), "only an object in a directory can be overwritten");
        let object = object(recorder, id).await;
        let bytes = ok(std::fs::metadata(&object), "the object").len();
        let noise: Vec<u8> = (0..bytes).map(|index| (index * 151 % 251) as u8).collect();
        ok(std::fs::write(&object, noise), "the object");
    }

    /// The bucket, of the production configuration.
    pub fn bucket(&self) -> Option<&S3> {
        match self {
            Self::Embedded => None,
            Self::Production(production) => Some(&production.objects),
        }
    }

    /// A connection to Postgres, like that of another node.
    pub async fn database(&self) -> Option<PostgresStore> {
        let Self::Production(production) = self else { return None };
        let config = PostgresConfig { max_connections: 2, ..PostgresConfig::new(&production.database) };
        Some(ok(PostgresStore::connect(&config).await, "a connection of the test"))
    }

    /// Number of open multipart uploads.
    pub async fn uploads(&self) -> usize {
        match self.bucket() {
            Some(bucket) => ok(bucket.open("").await, "open uploads").len(),
            None => 0,
        }
    }

    /// Every key in the bucket, sorted.
    pub async fn keys(&self) -> Vec<String> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Production(production) => production.keys().await,
        }
    }

    /// Waits for the object of a recording. Returns it as a local file.
    pub async fn object(&self, recorder: &Recorder, id: &str) -> PathBuf {
        match self {
            Self::Embedded => object(recorder, id).await,
            Self::Production(production) => ok(production.download(id).await, "the object in S3"),
        }
    }
}

/// A page of a SeaweedFS directory listing.
#[derive(serde::Deserialize)]
struct Listing {
    #[serde(rename = "Entries")]
    entries: Option<Vec<Entry>>,
}

#[derive(serde::Deserialize)]
struct Entry {
    #[serde(rename = "FullPath")]
    path: String,
    #[serde(rename = "Mode")]
    mode: u32,
}

impl Entry {
    /// Go's `os.ModeDir`.
    const FOLDER: u32 = 1 << 31;
}

impl Production {
    async fn keys(&self) -> Vec<String> {
        // Fails if another test has installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (http, root) = (reqwest::Client::new(), self.s3.folders());
        let (mut folders, mut keys) = (vec![String::new()], Vec::new());
        while let Some(folder) = folders.pop() {
            let url = format!("{root}{folder}/?limit=10000");
            let answer = http.get(url).header("accept", "application/json").send().await;
            let text = ok(ok(answer, "a listing").text().await, "a listing");
            let listing: Listing = ok(serde_json::from_str(&text), &text);
            for entry in listing.entries.unwrap_or_default() {
                let below = format!("/buckets/{}", self.s3.bucket());
                let path = entry.path.strip_prefix(&below).unwrap_or(&entry.path).to_owned();
                match entry.mode & Entry::FOLDER {
                    0 => keys.push(path.trim_start_matches('/').to_owned()),
                    _ => folders.push(path),
                }
            }
        }
        keys.sort();
        keys
    }

    async fn download(&self, id: &str) -> Result<PathBuf, BlobError> {
        let deadline = Instant::now() + UPLOAD;
        loop {
            let mut missing = None;
            // The key has the day on which the recording began.
            for day in [Utc::now(), Utc::now() - TimeDelta::days(1)] {
                for extension in ["webm", "mkv"] {
                    let key = format!("records/{}/{id}.{extension}", day.format("%Y/%m/%d"));
                    let path = self.downloads.path().join(format!("{id}.{extension}"));
                    match self.objects.get_file(&key, &path).await {
                        Ok(_) => return Ok(path),
                        Err(error) => missing = Some(error),
                    }
                }
            }
            match missing {
                Some(error) if Instant::now() > deadline => return Err(error),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
