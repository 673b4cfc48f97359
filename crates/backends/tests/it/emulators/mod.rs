//! AWS on this machine: emulators, and accounts in them.

mod server;

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use backends::aws::{Aws, AwsSettings};

pub(crate) use server::{Guarded, fresh_name, json_request, ministack, moto, plain_request};

const REGION: &str = "us-east-1";

/// The account behind an emulator.
pub(crate) fn account(endpoint_url: &str) -> Arc<Aws> {
    account_of(endpoint_url, credentials())
}

/// The same for a test's own clients.
pub(crate) fn emulated_config(endpoint_url: &str) -> SdkConfig {
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(REGION));
    config.endpoint_url(endpoint_url).credentials_provider(credentials()).build()
}

/// The account as the user sees it who may do little.
pub(crate) fn guarded_account(guarded: &Guarded) -> Arc<Aws> {
    let credentials = Credentials::new(&guarded.key_id, &guarded.secret_key, None, None, "tests");
    account_of(&guarded.url(), SharedCredentialsProvider::new(credentials))
}

fn account_of(endpoint_url: &str, credentials: SharedCredentialsProvider) -> Arc<Aws> {
    let settings = AwsSettings { region: REGION.into(), endpoint_url: Some(endpoint_url.to_owned()) };
    Aws::with_credentials(settings, credentials)
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIDEMULATOR", "emulated-secret-key", None, None, "tests"))
}
