//! Where AWS is, and the seeds' names for what lies there.

use std::sync::Arc;

use backends::aws::{Aws, AwsSettings, Prices, S3Encryption};
use chassis::config::{FromText, OptionalSetting, Reader, Section, Setting, SettingInfo};
use pipeline::config::API_TOKEN;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{OBJECTS_URL, QUEUE_URL};

const AWS_REGION: Setting<Region> = Setting::new(
    "AWS_REGION",
    "us-east-1",
    "The region of everything in AWS. Credentials come from where the AWS SDK looks for them: environment, profile, web identity, the role of the task, pod or machine.",
);
const AWS_ENDPOINT_URL: OptionalSetting<Endpoint> = OptionalSetting::new(
    "AWS_ENDPOINT_URL",
    "Another place than the public endpoints of the region: a local emulator, or a private endpoint. Buckets are then part of the path. Plain http is taken where this says so.",
);
const SQS_QUEUE_URL: OptionalSetting<String> =
    OptionalSetting::new("SQS_QUEUE_URL", "The same as `QUEUE_URL=sqs:URL`.");
const S3_BUCKET_NAME: OptionalSetting<String> =
    OptionalSetting::new("S3_BUCKET_NAME", "The same as `OBJECTS_URL=s3:BUCKET`.");
const S3_ENCRYPTION: Setting<Encryption> = Setting::new(
    "S3_ENCRYPTION",
    "AES256",
    "How S3 encrypts objects at rest: `AES256` with keys of its own (SSE-S3), or `aws:kms` (SSE-KMS).",
);
const S3_KMS_KEY_ID: OptionalSetting<String> = OptionalSetting::new(
    "S3_KMS_KEY_ID",
    "The id or ARN of the key for `S3_ENCRYPTION=aws:kms`. Default: the account's `aws/s3`. The writer's role needs `kms:GenerateDataKey` on it.",
);
const SSM_PARAMETER_NAME: OptionalSetting<String> =
    OptionalSetting::new("SSM_PARAMETER_NAME", "The same as `API_TOKEN=ssm:NAME`.");

const AWS_PRICES: Setting<PriceTable> = Setting::new(
    "AWS_PRICES",
    "2026-06-01 sqs=0.40 s3_put=5.00 s3_get=0.40 secretsmanager=5.00",
    "What AWS asks for, in dollars for a million requests, and the day of these prices; for `/status`, `aws_cost_dollars_total` and `keelson cost`. Default: us-east-1, standard queue and storage, without the free tier. `s3_put` is for PUT, COPY, POST and LIST.",
);

pub(super) const SECTION: Section = Section {
    title: "AWS",
    settings: &[
        AWS_REGION.info,
        AWS_ENDPOINT_URL.info,
        SQS_QUEUE_URL.info,
        S3_BUCKET_NAME.info,
        S3_ENCRYPTION.info,
        S3_KMS_KEY_ID.info,
        SSM_PARAMETER_NAME.info,
        AWS_PRICES.info,
    ],
};

/// The account, which costs nothing until something of it is used.
pub(super) fn account(reader: &mut Reader<'_>) -> Arc<Aws> {
    let region = reader.get(&AWS_REGION).0;
    let endpoint_url = reader.get_optional(&AWS_ENDPOINT_URL).map(|endpoint| endpoint.0);
    Aws::new(AwsSettings { region, endpoint_url })
}

pub(super) fn encryption(reader: &mut Reader<'_>) -> S3Encryption {
    let by = reader.get(&S3_ENCRYPTION);
    let key_id = reader.get_optional(&S3_KMS_KEY_ID);
    match by {
        Encryption::Kms => S3Encryption::Kms(key_id),
        Encryption::Aes256 => {
            if key_id.is_some() {
                reader.refuse(&S3_KMS_KEY_ID.info, "`S3_ENCRYPTION=aws:kms` beside it, or it unset");
            }
            S3Encryption::Aes256
        }
    }
}

/// What AWS asks for.
pub(super) fn prices(reader: &mut Reader<'_>) -> Prices {
    reader.get(&AWS_PRICES).0
}

/// Where the queue is, by `QUEUE_URL` or the seeds' name for a queue.
pub(super) fn queue_url(reader: &mut Reader<'_>) -> Option<String> {
    let ours = reader.get_optional(&QUEUE_URL);
    let theirs = reader.get_optional(&SQS_QUEUE_URL).map(|url| format!("sqs:{url}"));
    one_of(reader, (&QUEUE_URL.info, ours), (&SQS_QUEUE_URL.info, theirs), |url| url)
}

/// Where objects are, by `OBJECTS_URL` or the seeds' name for a bucket.
pub(super) fn objects_url(reader: &mut Reader<'_>) -> Option<String> {
    let ours = reader.get_optional(&OBJECTS_URL);
    let theirs = reader.get_optional(&S3_BUCKET_NAME).map(|bucket| format!("s3:{bucket}"));
    one_of(reader, (&OBJECTS_URL.info, ours), (&S3_BUCKET_NAME.info, theirs), |url| {
        url.strip_prefix("s3:").map_or(url, |place| place.trim_matches('/'))
    })
}

/// The API token, by `API_TOKEN` or the seeds' name for a parameter.
pub(super) fn api_token(reader: &mut Reader<'_>, ours: Option<SecretString>) -> Option<SecretString> {
    let ours = ours.map(|token| token.expose_secret().to_owned());
    let theirs = reader.get_optional(&SSM_PARAMETER_NAME).map(|name| format!("ssm:{name}"));
    one_of(reader, (&API_TOKEN.info, ours), (&SSM_PARAMETER_NAME.info, theirs), |token| token).map(SecretString::from)
}

/// Two spellings of one thing: either of them, and a mistake when they differ. `essence` is what of a value counts.
fn one_of(
    reader: &mut Reader<'_>,
    ours: (&SettingInfo, Option<String>),
    theirs: (&SettingInfo, Option<String>),
    essence: impl Fn(&str) -> &str,
) -> Option<String> {
    if let (Some(one), Some(other)) = (&ours.1, &theirs.1)
        && essence(one) != essence(other)
    {
        let expected = format!("the same as {}, or one of the two unset", reader.found(ours.0));
        reader.refuse(theirs.0, &expected);
    }
    ours.1.or(theirs.1)
}

/// It becomes part of host names.
struct Region(String);

impl FromText for Region {
    const EXPECTED: &'static str = "a region, such as `eu-central-1`";

    fn from_text(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (!text.is_empty() && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

struct Endpoint(String);

impl FromText for Endpoint {
    const EXPECTED: &'static str = "an http or https URL without user and password, such as `http://127.0.0.1:4566`";

    fn from_text(text: &str) -> Option<Self> {
        let url: Url = text.parse().ok()?;
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        (is_http && is_bare).then(|| Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Aes256,
    Kms,
}

impl FromText for Encryption {
    const EXPECTED: &'static str = "`AES256` or `aws:kms`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "AES256" => Some(Self::Aes256),
            "aws:kms" => Some(Self::Kms),
            _ => None,
        }
    }
}

/// See [`Prices`].
struct PriceTable(Prices);

impl FromText for PriceTable {
    const EXPECTED: &'static str = "a day and dollars for a million requests, such as `2026-06-01 sqs=0.40 s3_put=5.00 s3_get=0.40 secretsmanager=5.00`";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use chassis::config::Layers;

    use super::super::{Mode, Settings};
    use crate::cli::ServiceName;

    fn read(texts: &[(&'static str, &str)]) -> Result<Settings, String> {
        Settings::read(&Layers::of(texts), Mode::Up, &[ServiceName::Archiver]).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_bucket_may_be_named_in_either_way_and_in_both_when_they_agree() {
        for texts in [
            &[("S3_BUCKET_NAME", "letters")][..],
            &[("OBJECTS_URL", "s3:letters")],
            &[("S3_BUCKET_NAME", "letters"), ("OBJECTS_URL", "s3:letters")],
        ] {
            assert_eq!(read(texts).unwrap().objects_url, "s3:letters");
        }
        read(&[("S3_BUCKET_NAME", "letters"), ("OBJECTS_URL", "s3://letters/")]).unwrap();
    }

    #[test]
    fn spellings_that_differ_are_one_mistake_that_names_both() {
        for url in ["file:objects", "s3:others", "s3://letters/prefix"] {
            let text = read(&[("S3_BUCKET_NAME", "letters"), ("OBJECTS_URL", url)]).unwrap_err();
            assert!(text.contains("S3_BUCKET_NAME=letters") && text.contains(&format!("OBJECTS_URL={url}")), "{text}");
        }
        let text = read(&[("SSM_PARAMETER_NAME", "/x"), ("API_TOKEN", "hunter2")]).unwrap_err();
        assert!(text.contains("SSM_PARAMETER_NAME=/x") && text.contains("API_TOKEN=***"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        read(&[("SSM_PARAMETER_NAME", "/x"), ("API_TOKEN", "ssm:/x")]).unwrap();
    }

    #[test]
    fn wrong_settings_are_all_listed_and_passwords_are_not_shown() {
        let wrong = [
            ("AWS_REGION", "Frankfurt"),
            ("AWS_ENDPOINT_URL", "https://user:hunter2@s3.example.com"),
            ("S3_ENCRYPTION", "none"),
            ("S3_KMS_KEY_ID", "alias/mine"),
        ];
        let text = read(&wrong).unwrap_err();
        assert!(text.contains("4 mistakes") && wrong.iter().all(|(name, _)| text.contains(name)), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        for endpoint in ["s3.example.com", "ftp://x", "http://", "http://x?y=z"] {
            assert!(read(&[("AWS_ENDPOINT_URL", endpoint)]).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn a_queue_may_be_named_in_either_way() {
        let url = "https://sqs.us-east-1.amazonaws.com/1/q";
        assert_eq!(read(&[("SQS_QUEUE_URL", url)]).unwrap().queue.url, format!("sqs:{url}"));
        let text = read(&[("SQS_QUEUE_URL", url), ("QUEUE_URL", "memory:")]).unwrap_err();
        assert!(text.contains("SQS_QUEUE_URL") && text.contains("QUEUE_URL=memory:"), "{text}");
    }
}
