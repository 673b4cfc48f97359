//! S3, as `object_store` and plain HTTP see it.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig};
use testkit::aws::{Fake, Fault, Outcome, REGION, Service};

fn store(fake: &Fake) -> AmazonS3 {
    builder(fake).with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() }).build().unwrap()
}

fn builder(fake: &Fake) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_endpoint(fake.url())
        .with_region(REGION)
        .with_bucket_name("data")
        .with_access_key_id("AKIAFAKE")
        .with_secret_access_key("fake")
        .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(20)))
}

async fn create(store: &AmazonS3, key: &str, body: &'static str) -> object_store::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&Path::parse(key).unwrap(), body.into(), options).await.map(|_| ())
}

#[tokio::test]
async fn an_object_is_put_once_read_measured_and_deleted() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    let store = store(&fake);
    let key = "messages/2026/01/02/ü +1.json";
    create(&store, key, "first").await.unwrap();
    assert!(matches!(create(&store, key, "second").await.unwrap_err(), Error::AlreadyExists { .. }));
    assert_eq!(fake.objects("data")[key].body, "first");
    let path = Path::parse(key).unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "first");
    assert_eq!(store.get_range(&path, 1..3).await.unwrap(), "ir");
    assert_eq!(store.head(&path).await.unwrap().size, 5);
    store.delete(&path).await.unwrap();
    assert!(matches!(store.get(&path).await.unwrap_err(), Error::NotFound { .. }));
    assert!(matches!(store.head(&path).await.unwrap_err(), Error::NotFound { .. }));
    assert!(fake.objects("data").is_empty());
    let refused = Outcome::Refused(412, "PreconditionFailed".to_owned());
    assert_eq!(fake.call_log().iter().filter(|call| call.outcome == refused).count(), 1);
    assert_eq!(fake.call_log()[0].resource, format!("data/{key}"));
}

#[tokio::test]
async fn encryption_that_was_asked_for_is_kept_apart_from_the_buckets_own() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    create(&store(&fake), "plain", "x").await.unwrap();
    let asking = builder(&fake).with_sse_kms_encryption("key-1").build().unwrap();
    create(&asking, "asked", "x").await.unwrap();
    let objects = fake.objects("data");
    assert_eq!(objects["plain"].headers.get("x-amz-server-side-encryption"), None);
    assert_eq!(objects["asked"].headers["x-amz-server-side-encryption"], "aws:kms");
    assert_eq!(objects["asked"].headers["x-amz-server-side-encryption-aws-kms-key-id"], "key-1");

    let head = |key: &str| {
        let request = reqwest::Client::new().head(format!("{}/data/{key}", fake.url()));
        request.header("authorization", "none is checked").send()
    };
    assert_eq!(head("plain").await.unwrap().headers()["x-amz-server-side-encryption"], "AES256");
    fake.configure_bucket("data", None, None);
    assert!(head("plain").await.unwrap().headers().get("x-amz-server-side-encryption").is_none());
}

#[tokio::test]
async fn a_list_has_all_pages_and_groups() {
    let fake = Fake::start().await;
    for number in 0..2100 {
        fake.put_object("data", &format!("{}/{number:04}", number % 3), "x");
    }
    let store = store(&fake);
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(all.len(), 2100);
    let some: Vec<_> = store.list(Some(&Path::from("1"))).try_collect().await.unwrap();
    assert_eq!(some.len(), 700);
    assert_eq!(fake.calls("ListObjectsV2"), 4);
    let groups = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(groups.common_prefixes, [Path::from("0"), Path::from("1"), Path::from("2")]);
    assert!(groups.objects.is_empty());
}

#[tokio::test]
async fn the_settings_of_a_bucket_are_told() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    let get = async |setting: &str| {
        let request = reqwest::Client::new().get(format!("{}/data?{setting}", fake.url()));
        let answer = request.header("authorization", "none is checked").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert!(get("encryption").await.1.contains("<SSEAlgorithm>AES256</SSEAlgorithm>"));
    assert!(get("publicAccessBlock").await.1.contains("<BlockPublicAcls>true</BlockPublicAcls>"));
    fake.configure_bucket("data", Some("aws:kms"), Some(false));
    assert!(get("encryption").await.1.contains("<SSEAlgorithm>aws:kms</SSEAlgorithm>"));
    assert!(get("publicAccessBlock").await.1.contains("<BlockPublicAcls>false</BlockPublicAcls>"));
    fake.configure_bucket("data", None, None);
    let (status, body) = get("encryption").await;
    assert_eq!(status, 404);
    assert!(body.contains("ServerSideEncryptionConfigurationNotFoundError"));
    let (status, body) = get("publicAccessBlock").await;
    assert_eq!(status, 404);
    assert!(body.contains("NoSuchPublicAccessBlockConfiguration"));
}

#[tokio::test]
async fn a_chunked_body_is_stored_without_its_chunks() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    let body = "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let request = reqwest::Client::new().put(format!("{}/data/key", fake.url())).body(body);
    let request = request.header("authorization", "none is checked").header("content-encoding", "aws-chunked,gzip");
    let request = request.header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    assert_eq!(request.send().await.unwrap().status(), 200);
    let object = &fake.objects("data")["key"];
    assert_eq!((&object.body[..], object.headers["content-encoding"].as_str()), (&b"hello"[..], "gzip"));
}

#[tokio::test]
async fn faults_have_the_form_of_s3() {
    let fake = Fake::start().await;
    fake.create_bucket("data");
    let store = store(&fake);
    for (fault, expected) in [
        (Fault::throttle(), "SlowDown"),
        (Fault::error(503, "ServiceUnavailable"), "ServiceUnavailable"),
        (Fault::error(403, "AccessDenied"), "AccessDenied"),
        (Fault::error(409, "ConditionalRequestConflict"), "ConditionalRequestConflict"),
    ] {
        fake.inject(fault.on_service(Service::S3).on_resource("data/struck").times(1));
        create(&store, "spared", "x").await.or_else(allow_existing).unwrap();
        let error = create(&store, "struck", "x").await.unwrap_err();
        assert!(format!("{error:?}").contains(expected), "{error:?}");
    }
    fake.inject(Fault::no_answer().on("PutObject").times(1));
    create(&store, "lost", "x").await.unwrap_err();
    assert!(fake.objects("data").contains_key("lost"));
    assert!(!fake.objects("data").contains_key("struck"));
}

fn allow_existing(error: Error) -> object_store::Result<()> {
    if matches!(error, Error::AlreadyExists { .. }) { Ok(()) } else { Err(error) }
}
