//! The token that ingest asks for.

use std::sync::Arc;
use std::time::Duration;

use backends::aws::inspect::{Inspector, SecretFacts, Trouble};
use backends::local::generated_secret_path;
use chassis::config::check_secret;
use chassis::ports::{SecretError, SecretRef, SecretSource};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::fix::Fixes;
use super::report::Check;
use super::trouble::Question;
use crate::settings::Settings;
use crate::wire::{self, API_TOKEN_FILE};

pub(super) const TOKEN: &str = "API token";

/// How long a file may take; a network disk may be gone.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

const NEW_TOKEN: &str = "\"$(openssl rand -hex 32)\"";

/// Where it is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Nowhere that is set: `up` makes one.
    Generated,
    /// In the setting.
    Itself(SecretString),
    /// Where a reference leads.
    Elsewhere(Arc<dyn SecretSource>, SecretRef),
}

impl Place {
    pub(super) fn of(settings: &Settings) -> Self {
        let Some(set) = &settings.ingest.api_token else { return Self::Generated };
        match wire::secret_sources(&settings.aws).reference(set) {
            Some((source, reference)) => Self::Elsewhere(source, reference),
            None => Self::Itself(set.clone()),
        }
    }

    /// Whether AWS has it.
    pub(super) fn is_in_aws(&self) -> bool {
        matches!(self, Self::Elsewhere(_, reference) if is_in_aws(reference))
    }
}

fn is_in_aws(reference: &SecretRef) -> bool {
    matches!(reference.scheme.as_str(), "ssm" | "secretsmanager")
}

/// Fetches it where it is elsewhere. Shows nothing of it.
pub(super) async fn check(place: &Place, settings: &Settings, inspector: Option<&Inspector>) -> Check {
    let production = settings.chassis.production;
    match place {
        Place::Generated => generated(settings),
        Place::Itself(token) if token.expose_secret().starts_with("arn:") => Check::failed(
            TOKEN,
            "API_TOKEN is an ARN, which would be taken for the token itself",
            "write `ssm:` or `secretsmanager:` before it",
        ),
        Place::Itself(token) => strong(token, production, "set as itself"),
        Place::Elsewhere(_, reference) if is_in_aws(reference) => match inspector {
            Some(inspector) => in_aws(reference, production, inspector, Fixes::new(settings.aws.settings())).await,
            None => Check::not_checked(TOKEN, "not checked: there are no credentials"),
        },
        Place::Elsewhere(source, reference) => match timeout(FILE_TIMEOUT, source.fetch(&reference.name)).await {
            Ok(Ok(token)) => strong(&token, production, &format!("{reference} is readable")),
            Ok(Err(error)) => unusable(reference, &error),
            Err(_) => Check::failed(TOKEN, format!("{reference} does not answer"), "see that its disk is there"),
        },
    }
}

fn generated(settings: &Settings) -> Check {
    if settings.chassis.production {
        let fix = "API_TOKEN=ssm:/NAME, secretsmanager:NAME, or file:/run/secrets/api_token";
        return Check::failed(TOKEN, "API_TOKEN is not set, and `keelson serve ingest` does not start without it", fix);
    }
    let path = generated_secret_path(&settings.data, API_TOKEN_FILE);
    if path.is_file() {
        Check::ok(TOKEN, format!("generated, in {}", path.display()))
    } else {
        Check::not_checked(TOKEN, format!("API_TOKEN is not set; `keelson up` makes one in {}", path.display()))
    }
}

async fn in_aws(reference: &SecretRef, production: bool, inspector: &Inspector, fixes: Fixes<'_>) -> Check {
    let is_parameter = reference.scheme == "ssm";
    let name = &reference.name;
    let found = if is_parameter { inspector.parameter(name).await } else { inspector.secret(name).await };
    match found {
        Ok(SecretFacts { value: Err(error), .. }) => unusable(reference, &error),
        Ok(SecretFacts { encrypted: false, .. }) => {
            let text = format!("{reference} is a plain parameter: whoever may read parameters sees it, without a key");
            let (_, own) = name.split_once(":parameter").unwrap_or(("", name));
            // A parameter keeps its type: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
            let secure = format!("{own}-secure");
            Check::failed(TOKEN, text, "a type cannot be changed, so make another and name it in SSM_PARAMETER_NAME:")
                .and(put_parameter(fixes, &secure))
        }
        Ok(SecretFacts { value: Ok(token), took, .. }) => {
            let kept = if is_parameter { "a SecureString, " } else { "" };
            strong(&token, production, &format!("{reference} is {kept}readable in {took:.0?}"))
        }
        Err(trouble) => question(reference, is_parameter, fixes, &trouble),
    }
}

fn question(reference: &SecretRef, is_parameter: bool, fixes: Fixes<'_>, trouble: &Trouble) -> Check {
    let name = reference.name.split('#').next().unwrap_or_default();
    let arn = match is_parameter {
        _ if name.starts_with("arn:") => name.to_owned(),
        true => fixes.arn("ssm", "*", &format!("parameter/{}", name.trim_start_matches('/'))),
        // Behind the name stands a part that AWS chose.
        false => fixes.arn("secretsmanager", "*", &format!("secret:{name}-*")),
    };
    let if_missing = match is_parameter {
        _ if name.starts_with("arn:") => vec!["correct the ARN in API_TOKEN, or AWS_REGION".to_owned()],
        true => vec!["correct the name, or make it:".to_owned(), put_parameter(fixes, name)],
        false => {
            let command = fixes.command(&["secretsmanager", "create-secret", "--name", name]);
            vec!["correct the name, or make it:".to_owned(), format!("{command} --secret-string {NEW_TOKEN}")]
        }
    };
    Question { name: TOKEN, about: reference.to_string(), arn, if_missing, services_ask: true, fixes }.check(trouble)
}

fn put_parameter(fixes: Fixes<'_>, name: &str) -> String {
    let command = fixes.command(&["ssm", "put-parameter", "--name", name, "--type", "SecureString"]);
    format!("{command} --value {NEW_TOKEN}")
}

/// As `serve` judges it.
fn strong(token: &SecretString, production: bool, found: &str) -> Check {
    match check_secret(token).filter(|_| production) {
        Some(expected) => {
            Check::failed(TOKEN, format!("{found}; production takes no such token"), format!("expected {expected}"))
        }
        None => Check::ok(TOKEN, found),
    }
}

fn unusable(reference: &SecretRef, error: &SecretError) -> Check {
    let fix = match error {
        SecretError::NotFound(_) => "put the token there, or correct API_TOKEN",
        SecretError::Invalid { .. } => "put the token there as text, one line and nothing else",
        SecretError::Unavailable(_) => "make it readable for the user that runs this",
    };
    Check::failed(TOKEN, format!("{reference}: {error}"), fix)
}
