//! The object store port: write-once objects under path-like keys.
//!
//! # Contract
//! * **Atomic and durable**: [`ObjectStore::put_if_absent`] answers [`Put::Created`] only when the whole object would
//!   survive a power cut; nobody ever sees a part of it.
//! * **Written once**: of many writers of one key exactly one creates it; the others get [`Put::AlreadyExists`] and
//!   change nothing. This is `If-None-Match: *` of S3.
//! * **No object below another**: a store that keeps files cannot hold both `a` and `a/b`. The second one gets
//!   [`ObjectError::InvalidKey`] and the first stays; S3 holds both. Services choose keys that never need it.
//! * Keys cannot leave the store: see [`ObjectKey`].

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use thiserror::Error;

/// Bytes of a key, as on S3.
pub const MAX_KEY_BYTES: usize = 1024;

/// A checked key: segments joined by `/`; each 1 to 255 bytes, not `.` or `..`, not starting with `.` (such names
/// belong to the store), without control characters or backslashes; at most [`MAX_KEY_BYTES`] together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Bytes of one segment: the limit of a file name.
const MAX_SEGMENT_BYTES: usize = 255;

impl ObjectKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectError;

    fn from_str(text: &str) -> Result<Self, ObjectError> {
        let reject = |reason: &str| Err(ObjectError::InvalidKey(format!("{text:?}: {reason}")));
        if text.len() > MAX_KEY_BYTES {
            return Err(ObjectError::InvalidKey(format!("{} bytes, the limit is {MAX_KEY_BYTES}", text.len())));
        }
        for segment in text.split('/') {
            if segment.is_empty() {
                return reject("a segment is empty");
            }
            if segment.len() > MAX_SEGMENT_BYTES {
                return reject("a segment is longer than 255 bytes");
            }
            if segment.starts_with('.') {
                return reject("a segment starts with a dot");
            }
            if segment.chars().any(|c| c.is_control() || c == '\\') {
                return reject("a segment holds a control character or a backslash");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a write-once put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is new and durable.
    Created,
    /// There was one already; it is unchanged.
    AlreadyExists,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: ObjectKey,
    /// Bytes of its body.
    pub size_bytes: u64,
    /// When it was last written; `None` where the store does not tell.
    pub modified_at: Option<Timestamp>,
}

/// Objects as they are found, and the failure that ended the look.
pub type List = BoxStream<'static, Result<Listed, ObjectError>>;

/// Why an object store did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum ObjectError {
    /// The key cannot name an object.
    #[error("invalid object key {0}")]
    InvalidKey(String),
    /// The store as a whole cannot be reached or written; trying again later may help.
    #[error("the object store is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether it was written is not known.
    #[error("the object store did not answer in time")]
    Timeout,
    /// This object could not be read or written; others may.
    #[error("object store failure: {0}")]
    Other(String),
}

/// One bucket, or one folder. The module's documentation is the contract.
#[async_trait]
pub trait ObjectStore: fmt::Debug + Send + Sync + 'static {
    /// Writes an object unless there is one under this key.
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError>;

    /// Reads an object; `None` when there is none.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError>;

    /// Deletes an object; answers whether there was one.
    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError>;

    /// The objects below a folder, such as `messages/2025/06`, or all of them; in the order of their keys' bytes. Ends
    /// with the first failure. What is not the store's own, such as a hidden file, is passed over; what is written or
    /// deleted meanwhile may be there or not.
    fn list(&self, folder: Option<&ObjectKey>) -> List;

    /// Removes a folder that the deletion of its objects has left empty, where folders are something of their own;
    /// answers whether it did. Only for one into which nothing was written for a day: what other processes know about
    /// folders must be older than it. One that is needed again is made anew.
    async fn remove_empty_folder(&self, _folder: &ObjectKey) -> Result<bool, ObjectError> {
        Ok(false)
    }

    /// Whether the store can be reached; read-only, bounded by the caller.
    async fn ping(&self) -> Result<(), ObjectError>;
}
