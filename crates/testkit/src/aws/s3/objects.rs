//! Objects: put, get, head, delete.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use super::{Bucket, Request, S3};
use crate::aws::clock::{Millis, http_date};
use crate::aws::error::{AwsError, XML_HEAD, escape};
use crate::aws::reply::{Reply, Response, empty, header, respond};
use crate::aws::sqs::hex_md5;

/// Headers that are kept and answered, besides `x-amz-meta-*` and `x-amz-server-side-encryption*`.
const KEPT_HEADERS: [&str; 6] =
    ["content-type", "content-encoding", "content-disposition", "content-language", "cache-control", "expires"];

/// An object, as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub body: Bytes,
    /// What the request said about it, in lower case: type, encoding, encryption, `x-amz-meta-*`.
    pub headers: BTreeMap<String, String>,
    pub(crate) etag: String,
    pub(crate) modified_at: Millis,
}

impl Object {
    pub(crate) fn new(body: Bytes, headers: BTreeMap<String, String>, now: Millis) -> Self {
        let etag = format!("\"{}\"", hex_md5(&body));
        Self { body, headers, etag, modified_at: now }
    }
}

pub(super) fn put(s3: &mut S3, request: Request<'_>) -> Result<Reply, AwsError> {
    let bucket = s3.bucket(request.bucket)?;
    check_conditions(&request.parts.headers, bucket.objects.get(request.key))?;
    let object = Object::new(request.body, kept_headers(&request.parts.headers), request.now);
    let mut response = empty(StatusCode::OK);
    describe(&mut response, bucket, &object, |name| name.starts_with("x-amz-server-side"));
    insert(&mut response, ETAG, &object.etag);
    bucket.objects.insert(request.key.to_owned(), object);
    Ok(response.into())
}

/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
fn check_conditions(headers: &HeaderMap, existing: Option<&Object>) -> Result<(), AwsError> {
    let failed = || {
        let message = "At least one of the pre-conditions you specified did not hold";
        Err(AwsError::new(412, "PreconditionFailed", message))
    };
    match header(headers, "if-none-match") {
        Some("*") if existing.is_some() => return failed(),
        Some("*") | None => {}
        Some(_) => return Err(AwsError::new(501, "NotImplemented", "If-None-Match takes no entity tag here.")),
    }
    match (header(headers, "if-match"), existing) {
        (Some(_), None) => Err(AwsError::new(404, "NoSuchKey", "The specified key does not exist.")),
        (Some(etag), Some(object)) if etag != object.etag => failed(),
        _ => Ok(()),
    }
}

fn kept_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let kept = |name: &str| {
        KEPT_HEADERS.contains(&name) || name.starts_with("x-amz-meta-") || name.starts_with("x-amz-server-side-")
    };
    let mut all = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| kept(name.as_str())) {
        let Ok(value) = value.to_str() else { continue };
        // How it travelled is no property of the object.
        let value = value.trim_start_matches("aws-chunked").trim_start_matches([',', ' ']);
        if !value.is_empty() {
            all.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    all
}

pub(super) fn get(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    let bucket = s3.bucket(request.bucket)?;
    let missing = || AwsError::new(404, "NoSuchKey", "The specified key does not exist.");
    let object = bucket.objects.get(request.key).ok_or_else(missing)?;
    let length = object.body.len();
    let (status, range) = match header(&request.parts.headers, "range") {
        Some(text) => (StatusCode::PARTIAL_CONTENT, parse_range(text, length)?),
        None => (StatusCode::OK, 0..length),
    };
    let mut response = http::Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    describe(&mut response, bucket, object, |_| true);
    insert(&mut response, ETAG, &object.etag);
    insert(&mut response, LAST_MODIFIED, &http_date(object.modified_at));
    insert(&mut response, CONTENT_LENGTH, &range.len().to_string());
    insert(&mut response, ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        insert(&mut response, CONTENT_RANGE, &text);
    }
    if request.parts.method == Method::GET {
        *response.body_mut() = Full::new(object.body.slice(range));
    }
    Ok(response.into())
}

/// `bytes=a-b`, `bytes=a-` and `bytes=-n`.
fn parse_range(text: &str, length: usize) -> Result<Range<usize>, AwsError> {
    let unsatisfiable = || AwsError::new(416, "InvalidRange", "The requested range is not satisfiable");
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(unsatisfiable)?;
    let number = |digits: &str| digits.parse::<usize>().map_err(|_| unsatisfiable());
    let range = match (first, last) {
        ("", count) => length.saturating_sub(number(count)?)..length,
        (first, "") => number(first)?..length,
        (first, last) => number(first)?..number(last)?.saturating_add(1).min(length),
    };
    if range.is_empty() { Err(unsatisfiable()) } else { Ok(range) }
}

/// Headers of the object; where it did not ask for encryption, the bucket's own is told.
fn describe(response: &mut Response, bucket: &Bucket, object: &Object, wanted: impl Fn(&str) -> bool) {
    let mut headers = bucket.default_encryption();
    headers.extend(object.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    headers.entry("content-type".to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    for (name, value) in headers.iter().filter(|(name, _)| wanted(name)) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            insert(response, name, value);
        }
    }
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What is not there is deleted with success too.
pub(super) fn delete(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    s3.bucket(request.bucket)?.objects.remove(request.key);
    Ok(empty(StatusCode::NO_CONTENT).into())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(default)]
    object: Vec<ObjectIdentifier>,
    #[serde(default)]
    quiet: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ObjectIdentifier {
    key: String,
}

pub(super) fn delete_all(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    let malformed = || AwsError::new(400, "MalformedXML", "The XML you provided was not well-formed");
    let text = std::str::from_utf8(&request.body).map_err(|_| malformed())?;
    let asked: Delete = quick_xml::de::from_str(text).map_err(|_| malformed())?;
    if asked.object.len() > 1000 {
        return Err(malformed());
    }
    let bucket = s3.bucket(request.bucket)?;
    let mut body = format!("{XML_HEAD}<DeleteResult>");
    for object in &asked.object {
        bucket.objects.remove(&object.key);
        if !asked.quiet {
            body.push_str(&format!("<Deleted><Key>{}</Key></Deleted>", escape(&object.key)));
        }
    }
    body.push_str("</DeleteResult>");
    let response = respond(StatusCode::OK, "application/xml", body);
    Ok(Reply { response, entries: asked.object.len(), failed: 0 })
}
