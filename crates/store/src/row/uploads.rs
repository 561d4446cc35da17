//! Rows of `uploads` and `upload_parts`.

use uuid::Uuid;

use super::{count, known, text, unsigned};
use crate::{StoreError, Upload, UploadPart, UploadStatus};

/// A row of `uploads`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `uploads`, see the migrations")]
pub struct UploadRow {
    pub recording: Uuid,
    pub node: String,
    pub object_key: String,
    pub upload_id: String,
    pub container: String,
    pub rescued: bool,
}

impl UploadRow {
    /// The upload.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<Upload, StoreError> {
        Ok(Upload {
            recording: self.recording.into(),
            node: known(&self.node)?,
            key: self.object_key,
            id: self.upload_id,
            container: known(&self.container)?,
            rescued: self.rescued,
        })
    }
}

/// A row of `uploads` joined with its row of `recordings`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `uploads` and of `recordings`, see the migrations")]
pub struct UploadStatusRow {
    pub recording: Uuid,
    pub node: String,
    pub object_key: String,
    pub upload_id: String,
    pub container: String,
    pub rescued: bool,
    pub tenant: String,
    pub state: String,
    pub recording_key: Option<String>,
    pub finalized: bool,
    pub bytes: i64,
}

impl UploadStatusRow {
    /// The upload and the state of its recording.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<UploadStatus, StoreError> {
        let (tenant, state) = (known(&self.tenant)?, known(&self.state)?);
        let (object_key, finalized) = (self.recording_key, self.finalized);
        let bytes = unsigned(self.bytes, "bytes")?;
        let upload = UploadRow {
            recording: self.recording,
            node: self.node,
            object_key: self.object_key,
            upload_id: self.upload_id,
            container: self.container,
            rescued: self.rescued,
        };
        Ok(UploadStatus { upload: upload.read()?, tenant, state, object_key, finalized, bytes })
    }
}

/// A row of `upload_parts`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the columns of `upload_parts`, see the migrations")]
pub struct UploadPartRow {
    pub number: i64,
    pub first_byte: i64,
    pub bytes: i64,
    pub md5: Vec<u8>,
    pub sha256: Option<Vec<u8>>,
    pub etag: String,
    pub provisional: bool,
    pub run: Uuid,
}

impl From<&UploadPart> for UploadPartRow {
    fn from(part: &UploadPart) -> Self {
        Self {
            number: part.number.into(),
            first_byte: count(part.offset),
            bytes: count(part.bytes),
            md5: part.md5.to_vec(),
            sha256: part.sha256.map(|sum| sum.to_vec()),
            etag: text(&part.etag).into_owned(),
            provisional: part.provisional,
            run: part.run,
        }
    }
}

impl UploadPartRow {
    /// The part.
    ///
    /// # Errors
    /// `Corrupt` if a column has a value that this version does not know.
    pub fn read(self) -> Result<UploadPart, StoreError> {
        Ok(UploadPart {
            number: unsigned(self.number, "part number")?,
            offset: unsigned(self.first_byte, "first byte")?,
            bytes: unsigned(self.bytes, "bytes")?,
            md5: sum(self.md5)?,
            sha256: self.sha256.map(sum).transpose()?,
            etag: self.etag,
            provisional: self.provisional,
            run: self.run,
        })
    }
}

fn sum<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|other: Vec<u8>| StoreError::Corrupt(format!("a digest of {} bytes", other.len())))
}
