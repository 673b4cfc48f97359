//! Puts objects into a bucket, a fixed number at a time: the least that an archive on S3 has to do.
//!
//! The client is that of the product with its settings: signed requests with a checksum, the encryption asked for,
//! `If-None-Match`, connections that stay open. There is no queue, no message and no log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::path::Path;
use object_store::{Attribute, Attributes, ClientOptions, ObjectStore as _, PutMode, PutOptions};
use tokio::task::JoinSet;

use super::aws::BUCKET;

/// Puts until it is ended.
pub(super) async fn run(endpoint: &str, writers: usize, bytes: usize) -> Result<()> {
    let store = Arc::new(store(endpoint)?);
    let body = Bytes::from(vec![b'x'; bytes]);
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (store, body, next) = (Arc::clone(&store), body.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                put(&store, next.fetch_add(1, Ordering::Relaxed), body.clone()).await?;
            }
        });
    }
    // None ends but by a failure.
    tasks.join_next().await.context("no writers")??
}

fn store(endpoint: &str) -> Result<AmazonS3> {
    let encryption: AmazonS3ConfigKey = "aws_server_side_encryption".parse()?;
    let builder = AmazonS3Builder::new()
        .with_region("us-east-1")
        .with_bucket_name(BUCKET)
        .with_endpoint(endpoint)
        .with_access_key_id("AKIAFAKE")
        .with_secret_access_key("fake")
        .with_checksum_algorithm(Checksum::SHA256)
        .with_config(encryption, "AES256")
        .with_client_options(ClientOptions::new().with_http1_only().with_allow_http(true));
    Ok(builder.build()?)
}

/// Under a key as long as the product's.
async fn put(store: &AmazonS3, number: u64, body: Bytes) -> Result<()> {
    let path = Path::parse(format!("messages/2026/01/01/{number:036}.json"))?;
    let attributes = Attributes::from_iter([(Attribute::ContentType, "application/json")]);
    let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
    store.put_opts(&path, body.into(), options).await?;
    Ok(())
}
