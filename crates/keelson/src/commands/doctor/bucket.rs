//! The bucket on S3.

use backends::aws::inspect::{BucketFacts, Trouble};

use super::fix::Fixes;
use super::report::Check;
use super::trouble::Question;

pub(super) const BUCKET: &str = "bucket";
pub(super) const ENCRYPTION: &str = "encryption";
pub(super) const PUBLIC_ACCESS: &str = "public access";

const BLOCK_ALL: &str = "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";
const ENCRYPT: &str =
    r#"{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"},"BucketKeyEnabled":true}]}"#;

/// The bucket, its encryption, and what is kept from the public.
pub(super) fn checks(bucket: &str, facts: &BucketFacts, fixes: Fixes<'_>) -> Vec<Check> {
    let question = |name| Question {
        name,
        about: format!("the bucket {bucket}"),
        arn: fixes.arn("s3", "", bucket),
        if_missing: vec![
            format!("correct S3_BUCKET_NAME ({bucket}), or make it:"),
            fixes.command(&["s3", "mb", &format!("s3://{bucket}")]),
        ],
        services_ask: false,
        fixes,
    };
    // What one of the two says of the bucket itself counts for both.
    let troubles = [facts.encryption.as_ref().err(), facts.public_access.as_ref().err()];
    if let Some(trouble) = troubles.into_iter().flatten().find(|trouble| is_about_the_bucket(trouble)) {
        let unseen = |name| Check::not_checked(name, "not checked: see bucket");
        return vec![question(BUCKET).check(trouble), unseen(ENCRYPTION), unseen(PUBLIC_ACCESS)];
    }
    let encryption = match &facts.encryption {
        Ok(Some(algorithm)) => Check::ok(ENCRYPTION, format!("{algorithm} unless a writer asks for another")),
        Ok(None) => Check::warning(
            ENCRYPTION,
            "the bucket encrypts nothing by itself; the archiver asks for it with each object, others may not",
            fixes.command(&[
                "s3api",
                "put-bucket-encryption",
                "--bucket",
                bucket,
                "--server-side-encryption-configuration",
                ENCRYPT,
            ]),
        ),
        Err(trouble) => question(ENCRYPTION).check(trouble),
    };
    let public_access = match &facts.public_access {
        Ok(block) if block.off().is_empty() => Check::ok(PUBLIC_ACCESS, "all four settings block it"),
        Ok(block) => Check::failed(
            PUBLIC_ACCESS,
            format!("{} of the bucket are off; a block of the whole account is not seen here", block.off().join(", ")),
            fixes.command(&[
                "s3api",
                "put-public-access-block",
                "--bucket",
                bucket,
                "--public-access-block-configuration",
                BLOCK_ALL,
            ]),
        ),
        Err(trouble) => question(PUBLIC_ACCESS).check(trouble),
    };
    let text = format!("{bucket} is there, answers in {:.0?}", facts.took);
    vec![Check::ok(BUCKET, text), encryption, public_access]
}

/// A missing permission is about the question alone.
fn is_about_the_bucket(trouble: &Trouble) -> bool {
    !matches!(trouble, Trouble::Denied { .. })
}
