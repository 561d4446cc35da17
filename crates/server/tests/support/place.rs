//! Where a recorder under test keeps its metadata and its objects.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use blob::{AccessKey, BlobError, BlobStore as _, S3, S3Config, Secret};
use chrono::{TimeDelta, Utc};
use tempfile::TempDir;
use testkit::{
    recorder::{Recorder, RecorderConfig},
    servers::{postgres::Postgres, seaweedfs::SeaweedFs},
};

use super::{UPLOAD, config, object, ok};

/// One of the two configurations that everything must work on.
pub enum Place {
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

impl Place {
    pub fn embedded() -> Self {
        Self::Embedded
    }

    /// A database of its own on the Postgres that this process shares, and a SeaweedFS of its own.
    pub async fn production() -> Self {
        let s3 = ok(SeaweedFs::start().await, "SeaweedFS");
        let access_key = AccessKey {
            id: s3.access_key().into(),
            secret: Secret::new(s3.secret_key()),
            session_token: None,
        };
        let config = S3Config {
            endpoint: Some(s3.url()),
            path_style: true,
            access_key: Some(access_key),
            ..S3Config::new(s3.bucket(), "us-east-1")
        };
        let objects = ok(S3::connect(&config).await, "a client of S3");
        let downloads = ok(TempDir::new(), "a directory");
        let database = Postgres::shared().create_database();
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

    /// Overwrites the object of a recording with as many bytes that are no media.
    pub async fn spoil(&self, recorder: &Recorder, id: &str) {
        assert!(matches!(self, Self::Embedded), "only a directory can be spoiled from outside");
        let object = object(recorder, id).await;
        let bytes = ok(std::fs::metadata(&object), "the object").len();
        let noise: Vec<u8> = (0..bytes).map(|place| (place * 151 % 251) as u8).collect();
        ok(std::fs::write(&object, noise), "the object");
    }

    /// The bucket, where there is one.
    pub fn bucket(&self) -> Option<&S3> {
        match self {
            Self::Embedded => None,
            Self::Production(production) => Some(&production.objects),
        }
    }

    /// The object of a recording as a local file, waited for.
    pub async fn object(&self, recorder: &Recorder, id: &str) -> PathBuf {
        match self {
            Self::Embedded => object(recorder, id).await,
            Self::Production(production) => ok(production.download(id).await, "the object in S3"),
        }
    }
}

impl Production {
    async fn download(&self, id: &str) -> Result<PathBuf, BlobError> {
        let deadline = Instant::now() + UPLOAD;
        loop {
            let mut missing = None;
            // Begun yesterday, if midnight has passed since.
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
