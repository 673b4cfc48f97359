//! What is accepted as a proof, and all that is not, with an STS that checks signatures or answers by a script.

mod answers;
mod chain;
mod exchange;
mod fake;
mod proofs;
mod signing_suite;

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use chassis::auth::ServiceIdentity;
use chassis::telemetry::metrics::Metrics;
use chassis::testing::ManualClock;
use secrecy::ExposeSecret as _;

use self::fake::{FakeSts, Received};
use super::proof::Proof;
use super::sts::Sts;
use super::verifier::{Failure, Refusal};
use super::{AllowedRoles, NoProof, RoleAuthenticator, RoleProofs};
use crate::aws::{Aws, AwsSettings};

const REGION: &str = "eu-west-1";
const HERE: &str = "user-service";
const ROLES: &str = r#"[{"identity": "arn:aws:iam::123456789012:role/services/orders", "scopes": ["users:read"]}]"#;
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/orders/i-0abc";
const SECOND: Duration = Duration::from_secs(1);

/// Those of the role.
fn credentials() -> Credentials {
    Credentials::new("ASIAORDERS", "the-secret-of-orders", Some("the/token+of==orders".into()), None, "tests")
}

/// One service that is called, one that calls, and STS.
struct World {
    sts: FakeSts,
    clock: Arc<ManualClock>,
    authenticator: RoleAuthenticator,
}

impl World {
    /// With an STS that knows the role.
    async fn new() -> Self {
        Self::with(|request| request.answer_as(SESSION)).await
    }

    async fn with(respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let sts = FakeSts::start(respond).await;
        let clock = ManualClock::new();
        let authenticator = authenticator(&sts, &clock);
        Self { sts, clock, authenticator }
    }

    fn settings(&self) -> AwsSettings {
        settings(&self.sts)
    }

    fn place(&self) -> Sts {
        Sts::of(&self.settings()).unwrap()
    }

    async fn make(&self, credentials: Credentials, audience: &str) -> Result<String, NoProof> {
        let aws = Aws::with_credentials(self.settings(), SharedCredentialsProvider::new(credentials));
        let proofs = RoleProofs::new(aws, Arc::clone(&self.clock) as _).unwrap();
        proofs.make(audience).await.map(|proof| proof.expose_secret().to_owned())
    }

    /// A proof that is good here.
    async fn proof(&self) -> String {
        self.make(credentials(), HERE).await.unwrap()
    }

    async fn verify(&self, proof: &str) -> Result<ServiceIdentity, Failure> {
        self.authenticator.verify(proof.as_bytes()).await
    }

    /// Shows a sound proof that was changed.
    async fn verify_changed(&self, change: impl FnOnce(&mut Proof) + Send) -> Result<ServiceIdentity, Failure> {
        let mut proof = Proof::read(self.proof().await.as_bytes()).unwrap();
        change(&mut proof);
        self.verify(&proof.write().unwrap()).await
    }
}

fn settings(sts: &FakeSts) -> AwsSettings {
    AwsSettings { region: REGION.into(), endpoint_url: Some(sts.url.clone()) }
}

fn authenticator(sts: &FakeSts, clock: &Arc<ManualClock>) -> RoleAuthenticator {
    let (roles, metrics) = (AllowedRoles::of(&ROLES.parse().unwrap()).unwrap(), Metrics::new(HERE, "1"));
    RoleAuthenticator::new(&settings(sts), HERE, roles, Arc::clone(clock) as _, &metrics).unwrap()
}

fn refused(refusal: Refusal) -> Result<ServiceIdentity, Failure> {
    Err(Failure::Refused(refusal))
}
