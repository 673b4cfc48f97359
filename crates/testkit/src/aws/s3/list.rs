//! `ListObjectsV2` and `ListBuckets`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Object, Request, S3, parameter};
use crate::aws::clock::timestamp;
use crate::aws::error::{AwsError, XML_HEAD, escape};
use crate::aws::reply::{Reply, respond};

const MAX_KEYS: usize = 1000;
/// What stays readable with `encoding-type=url`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*');

/// One page: entries in the order of their keys.
struct Page<'a> {
    contents: Vec<(&'a str, &'a Object)>,
    prefixes: BTreeSet<&'a str>,
    /// The last key that was looked at, when there are more.
    next: Option<&'a str>,
}

pub(super) fn list_objects(s3: &mut S3, request: &Request<'_>) -> Result<Reply, AwsError> {
    let ask = |name: &str| parameter(request.parts, name).filter(|value| !value.is_empty());
    let prefix = ask("prefix").unwrap_or_default();
    let delimiter = ask("delimiter");
    let max_keys = match ask("max-keys").map(|count| count.parse::<usize>()) {
        None => MAX_KEYS,
        Some(Ok(count)) => count.min(MAX_KEYS),
        Some(Err(_)) => return Err(AwsError::new(400, "InvalidArgument", "Provided max-keys not an integer")),
    };
    // The token is the key to go on after, as `start-after` is.
    let after = ask("continuation-token").or_else(|| ask("start-after")).unwrap_or_default();
    let encode = ask("encoding-type").is_some_and(|encoding| encoding == "url");
    let bucket = s3.bucket(request.bucket)?;
    let page = page(bucket.objects.iter(), &prefix, delimiter.as_deref(), &after, max_keys);
    let text = |key: &str| if encode { url_encode(key) } else { escape(key).into_owned() };
    let mut body = format!(
        "{XML_HEAD}<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name>\
         <Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>{max_keys}</MaxKeys><IsTruncated>{}</IsTruncated>",
        escape(request.bucket),
        text(&prefix),
        page.contents.len() + page.prefixes.len(),
        page.next.is_some(),
    );
    if encode {
        body.push_str("<EncodingType>url</EncodingType>");
    }
    if let Some(delimiter) = &delimiter {
        let _written = write!(body, "<Delimiter>{}</Delimiter>", text(delimiter));
    }
    if let Some(next) = page.next {
        let _written = write!(body, "<NextContinuationToken>{}</NextContinuationToken>", escape(next));
    }
    for (key, object) in &page.contents {
        write_object(&mut body, &text(key), object);
    }
    for prefix in &page.prefixes {
        let _written = write!(body, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", text(prefix));
    }
    body.push_str("</ListBucketResult>");
    Ok(respond(StatusCode::OK, "application/xml", body).into())
}

fn page<'a>(
    objects: std::collections::btree_map::Iter<'a, String, Object>,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    max_keys: usize,
) -> Page<'a> {
    let mut page = Page { contents: Vec::new(), prefixes: BTreeSet::new(), next: None };
    let mut last = None;
    let matching = objects.map(|(key, object)| (key.as_str(), object)).filter(|(key, _)| key.starts_with(prefix));
    for (key, object) in matching.skip_while(|(key, _)| !after.is_empty() && *key <= after) {
        let group = delimiter.and_then(|delimiter| {
            let rest = key.get(prefix.len()..)?;
            Some(&key[..prefix.len() + rest.find(delimiter)? + delimiter.len()])
        });
        // A group that an earlier page has told is not told again.
        if group.is_some_and(|group| page.prefixes.contains(group) || after.starts_with(group)) {
            last = Some(key);
            continue;
        }
        if page.contents.len() + page.prefixes.len() >= max_keys {
            page.next = last;
            break;
        }
        match group {
            Some(group) => {
                page.prefixes.insert(group);
            }
            None => page.contents.push((key, object)),
        }
        last = Some(key);
    }
    page
}

fn write_object(body: &mut String, key: &str, object: &Object) {
    let _written = write!(
        body,
        "<Contents><Key>{key}</Key><LastModified>{:.3}</LastModified><ETag>{}</ETag><Size>{}</Size>\
         <StorageClass>STANDARD</StorageClass></Contents>",
        timestamp(object.modified_at),
        escape(&object.etag),
        object.body.len(),
    );
}

fn url_encode(key: &str) -> String {
    Cow::from(utf8_percent_encode(key, ENCODED)).into_owned()
}

pub(super) fn list_buckets(s3: &S3) -> Reply {
    let mut body = format!("{XML_HEAD}<ListAllMyBucketsResult><Owner><ID>fake</ID></Owner><Buckets>");
    for (name, bucket) in &s3.buckets {
        let created = timestamp(bucket.created_at);
        let _written =
            write!(body, "<Bucket><Name>{}</Name><CreationDate>{created:.3}</CreationDate></Bucket>", escape(name));
    }
    body.push_str("</Buckets></ListAllMyBucketsResult>");
    respond(StatusCode::OK, "application/xml", body).into()
}
