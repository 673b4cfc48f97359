//! S3 over REST, path style: `/bucket/key`.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

mod buckets;
mod chunked;
mod list;
mod objects;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

pub(crate) use buckets::{Bucket, encryption, public_access_block};
pub use objects::Object;

use super::World;
use super::error::AwsError;
use super::lock;
use super::reply::Reply;
use super::service::{Service, Target, UNKNOWN_ACTION};

pub(crate) const ACTIONS: [&str; 17] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "DeleteObjects",
    "ListObjectsV2",
    "ListBuckets",
    "CreateBucket",
    "HeadBucket",
    "DeleteBucket",
    "GetBucketLocation",
    "GetBucketEncryption",
    "PutBucketEncryption",
    "DeleteBucketEncryption",
    "GetPublicAccessBlock",
    "PutPublicAccessBlock",
    "DeletePublicAccessBlock",
];

/// The buckets by name.
#[derive(Debug, Default)]
pub(crate) struct S3 {
    pub(crate) buckets: BTreeMap<String, Bucket>,
}

/// A request, split at the bucket.
pub(crate) struct Request<'a> {
    parts: &'a Parts,
    bucket: &'a str,
    key: &'a str,
    body: Bytes,
    now: u64,
}

impl S3 {
    pub(crate) fn bucket(&mut self, name: &str) -> Result<&mut Bucket, AwsError> {
        let missing = || AwsError::new(404, "NoSuchBucket", "The specified bucket does not exist");
        self.buckets.get_mut(name).ok_or_else(missing)
    }
}

/// Which action a request without any other mark of its service is.
pub(crate) fn target(parts: &Parts) -> Target {
    let path = percent_decode_str(parts.uri.path().trim_start_matches('/')).decode_utf8_lossy();
    let resource = path.strip_suffix('/').filter(|bucket| !bucket.contains('/')).unwrap_or(&path).to_owned();
    let action = if resource.contains('/') {
        object_action(&parts.method)
    } else if resource.is_empty() {
        if parts.method == Method::GET { "ListBuckets" } else { UNKNOWN_ACTION }
    } else {
        bucket_action(parts)
    };
    Target { service: Service::S3, action, resource }
}

fn object_action(method: &Method) -> &'static str {
    match *method {
        Method::PUT => "PutObject",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::DELETE => "DeleteObject",
        _ => UNKNOWN_ACTION,
    }
}

fn bucket_action(parts: &Parts) -> &'static str {
    let asks = |name: &str| parameter(parts, name).is_some();
    let method = &parts.method;
    if asks("encryption") {
        let names = ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"];
        return by_method(method, names);
    }
    if asks("publicAccessBlock") {
        let names = ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"];
        return by_method(method, names);
    }
    match *method {
        Method::POST if asks("delete") => "DeleteObjects",
        Method::GET if asks("location") => "GetBucketLocation",
        Method::GET if asks("list-type") => "ListObjectsV2",
        Method::HEAD => "HeadBucket",
        Method::PUT if parts.uri.query().is_none() => "CreateBucket",
        Method::DELETE if parts.uri.query().is_none() => "DeleteBucket",
        _ => UNKNOWN_ACTION,
    }
}

fn by_method(method: &Method, [get, put, delete]: [&'static str; 3]) -> &'static str {
    match *method {
        Method::GET => get,
        Method::PUT => put,
        Method::DELETE => delete,
        _ => UNKNOWN_ACTION,
    }
}

fn parameter<'a>(parts: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    let query = parts.uri.query()?.as_bytes();
    form_urlencoded::parse(query).find(|(found, _)| found == name).map(|(_, value)| value)
}

pub(crate) fn answer(world: &World, target: &str, action: &str, parts: &Parts, body: Bytes) -> Result<Reply, AwsError> {
    let (bucket, key) = target.split_once('/').unwrap_or((target, ""));
    let body = if chunked::is_chunked(&parts.headers) { chunked::decode(&body)? } else { body };
    let request = Request { parts, bucket, key, body, now: world.clock.now() };
    let mut s3 = lock(&world.s3);
    match action {
        "PutObject" => objects::put(&mut s3, request),
        "GetObject" | "HeadObject" => objects::get(&mut s3, &request),
        "DeleteObject" => objects::delete(&mut s3, &request),
        "DeleteObjects" => objects::delete_all(&mut s3, &request),
        "ListObjectsV2" => list::list_objects(&mut s3, &request),
        "ListBuckets" => Ok(list::list_buckets(&s3)),
        _ => buckets::answer(&mut s3, action, request),
    }
}
