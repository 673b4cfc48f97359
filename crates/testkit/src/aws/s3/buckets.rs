//! Buckets and their settings. A setting is kept as the XML that it came in.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;

use super::{Object, Request, S3};
use crate::aws::clock::Millis;
use crate::aws::error::{AwsError, XML_HEAD};
use crate::aws::reply::{Reply, empty, respond};
use crate::aws::service::Service;
use crate::aws::settings::REGION;

/// A bucket with its objects by key.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) created_at: Millis,
    pub(crate) encryption: Option<Bytes>,
    pub(crate) public_access_block: Option<Bytes>,
}

impl Bucket {
    /// Encrypted with SSE-S3 and closed to the public, as new buckets are since 2023.
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            objects: BTreeMap::new(),
            created_at: now,
            encryption: Some(encryption("AES256")),
            public_access_block: Some(public_access_block(true)),
        }
    }

    /// Headers of objects that did not ask for encryption themselves.
    pub(crate) fn default_encryption(&self) -> BTreeMap<String, String> {
        let Some(rule) = self.encryption.as_ref().and_then(|xml| std::str::from_utf8(xml).ok()) else {
            return BTreeMap::new();
        };
        let algorithm = rule.split_once("<SSEAlgorithm>").and_then(|(_, rest)| rest.split_once('<'));
        let header = |(name, _): (&str, &str)| ("x-amz-server-side-encryption".to_owned(), name.to_owned());
        algorithm.map(header).into_iter().collect()
    }
}

/// The setting that encrypts with `AES256` or `aws:kms`.
pub(crate) fn encryption(algorithm: &str) -> Bytes {
    let xml = format!(
        "{XML_HEAD}<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>\
         {algorithm}</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled>\
         </Rule></ServerSideEncryptionConfiguration>"
    );
    xml.into()
}

/// The setting with all four blocks on or off.
pub(crate) fn public_access_block(on: bool) -> Bytes {
    let xml = format!(
        "{XML_HEAD}<PublicAccessBlockConfiguration><BlockPublicAcls>{on}</BlockPublicAcls><IgnorePublicAcls>{on}\
         </IgnorePublicAcls><BlockPublicPolicy>{on}</BlockPublicPolicy><RestrictPublicBuckets>{on}\
         </RestrictPublicBuckets></PublicAccessBlockConfiguration>"
    );
    xml.into()
}

pub(super) fn answer(s3: &mut S3, action: &str, request: Request<'_>) -> Result<Reply, AwsError> {
    match action {
        "CreateBucket" => return create(s3, &request),
        "DeleteBucket" => return delete(s3, &request),
        _ => {}
    }
    let bucket = s3.bucket(request.bucket)?;
    let done = Ok(empty(StatusCode::OK).into());
    let removed = Ok(empty(StatusCode::NO_CONTENT).into());
    match action {
        "HeadBucket" => done,
        "GetBucketLocation" => {
            // The first region has no constraint.
            Ok(xml(format!("{XML_HEAD}<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>")))
        }
        "GetBucketEncryption" => {
            let message = "The server side encryption configuration was not found";
            let missing = || AwsError::new(404, "ServerSideEncryptionConfigurationNotFoundError", message);
            bucket.encryption.clone().map(xml).ok_or_else(missing)
        }
        "PutBucketEncryption" => {
            bucket.encryption = Some(request.body);
            done
        }
        "DeleteBucketEncryption" => {
            bucket.encryption = None;
            removed
        }
        "GetPublicAccessBlock" => {
            let message = "The public access block configuration was not found";
            let missing = || AwsError::new(404, "NoSuchPublicAccessBlockConfiguration", message);
            bucket.public_access_block.clone().map(xml).ok_or_else(missing)
        }
        "PutPublicAccessBlock" => {
            bucket.public_access_block = Some(request.body);
            done
        }
        "DeletePublicAccessBlock" => {
            bucket.public_access_block = None;
            removed
        }
        _ => Err(AwsError::unknown_action(Service::S3)),
    }
}

/// One's own bucket may be created again in the first region.
fn create(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    if !(3..=63).contains(&request.bucket.len()) || !request.bucket.bytes().all(allowed) {
        return Err(AwsError::new(400, "InvalidBucketName", "The specified bucket is not valid."));
    }
    s3.buckets.entry(request.bucket.to_owned()).or_insert_with(|| Bucket::new(request.now));
    let response = empty(StatusCode::OK);
    Ok(crate::aws::reply::with_header(response, "x-amz-bucket-region", REGION).into())
}

fn delete(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    if !s3.bucket(request.bucket)?.objects.is_empty() {
        return Err(AwsError::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty"));
    }
    s3.buckets.remove(request.bucket);
    Ok(empty(StatusCode::NO_CONTENT).into())
}

fn xml(body: impl Into<Bytes>) -> Reply {
    respond(StatusCode::OK, "application/xml", body).into()
}
