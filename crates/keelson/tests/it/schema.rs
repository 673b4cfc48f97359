//! Every service answers as its API document says: schemathesis makes requests from the document, valid and not, and
//! looks at each answer: no 5xx, no status, type, header or body that is not documented, no valid request refused, no
//! invalid one taken, no way around a token.
//!
//! `schema.toml` says how it goes about it, `schema.py` what documents cannot say. A failure shows its report, with a
//! `curl` line for each finding.

use std::path::Path;
use std::process::{Command, Output};

use chassis::testing::require;
use serde_json::{Value, json};

use crate::dlq::with_letters;
use crate::launch::Launch;
use crate::production::serve;
use crate::system::{Answer, System};

const USERNAME: &str = "annie";
const PASSWORD: &str = "correct horse battery";
const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";

/// Of all routes.
const SCOPES: &[&str] = &[
    "users:read",
    "users:write",
    "orders:read",
    "orders:write",
    "analytics:read",
    "analytics:write",
    "calls:invoke",
    "ops:read",
];

/// The Python environment of schemathesis; `None`, after saying so, where it is not installed.
fn python() -> Option<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/schemathesis-venv/bin/python");
    let what = format!("schemathesis (./test installs it, see scripts/tools.sh: {})", python.display());
    require(&what, python.is_file()).then(|| python.display().to_string())
}

/// A system and what callers may show it.
struct Site {
    system: System,
    /// Somebody registered.
    user_id: String,
    /// Their token, with every scope.
    user_token: String,
    operator_token: String,
    dead_letter: String,
}

impl Site {
    async fn of(system: System, dead_letter: &str) -> Self {
        let body = json!({ "username": USERNAME, "email": "annie@example.com", "password": PASSWORD });
        let registered = Answer::of(system.post("users", "/api/v1/users/register").json(&body)).await.json();
        let id = registered["data"]["user_id"].as_str().unwrap();
        let mut issue = vec!["token", "issue", "--subject", id];
        issue.extend(SCOPES.iter().flat_map(|scope| ["--scope", scope]));
        let issued = system.launch.args(&issue).run();
        assert!(issued.status.success(), "{issued:?}");
        let run: Value = serde_json::from_slice(&std::fs::read(system.data().join("run.json")).unwrap()).unwrap();
        Self {
            user_token: String::from_utf8(issued.stdout).unwrap().trim().to_owned(),
            user_id: id.to_owned(),
            operator_token: run["operator_token"].as_str().unwrap().to_owned(),
            dead_letter: dead_letter.to_owned(),
            system,
        }
    }

    /// Runs schemathesis on a service and a document, which may be its own or another.
    fn schemathesis(&self, python: &str, service: &str, document: &str, args: &[&str]) -> Output {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
        let folder = self.system.launch.path("schemathesis");
        std::fs::create_dir_all(&folder).unwrap();
        let (url, config) = (self.system.url(service), here.join("schema.toml"));
        let mut command = Command::new(python);
        command.args(["-m", "schemathesis.cli", "--config-file"]).arg(config);
        command.args(["run", document, "--url", &url, "--no-color"]).args(args);
        command.env_clear().env("HOME", &folder).current_dir(&folder);
        command.env("HOOKS", here.join("schema.py")).env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
        command.env("USERNAME_OF_TEST", USERNAME).env("PASSWORD_OF_TEST", PASSWORD);
        command.env("API_TOKEN", api_token(&self.system)).env("DEAD_LETTER", &self.dead_letter);
        command.env("PEER", if service == "users" { "analytics-service" } else { "user-service" });
        command
            .env("USER_ID", &self.user_id)
            .env("USER_TOKEN", &self.user_token)
            .env("OPERATOR_TOKEN", &self.operator_token);
        command.output().unwrap()
    }

    fn check(&self, python: &str, service: &str) {
        let output = self.schemathesis(python, service, &format!("{}/openapi.json", self.system.url(service)), &[]);
        assert!(output.status.success(), "{service}\n{}", report(&output));
    }
}

/// Generated in development; production in these tests has no ingest.
fn api_token(system: &System) -> String {
    std::fs::read_to_string(system.data().join("secrets/api_token")).unwrap_or_default().trim().to_owned()
}

fn report(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

#[tokio::test]
async fn each_service_answers_as_its_document_says() {
    let Some(python) = python() else { return };
    let (system, letters) = with_letters(&Launch::up().env("RATE_LIMIT", "0"), 1).await;
    let site = Site::of(system, &letters[0]).await;
    // Users may be deleted on the way, and orders are made for one.
    for service in ["orders", "users", "analytics", "ingest", "archiver"] {
        site.check(&python, service);
    }
}

#[tokio::test]
async fn they_answer_as_their_documents_say_in_production_too() {
    let Some(python) = python() else { return };
    let services = ["orders", "users", "analytics"];
    let launch = serve(&services).env("JWT_SECRET_KEY", STRONG_KEY).env("RATE_LIMIT", "0");
    let site = Site::of(launch.start().await, "none").await;
    for service in services {
        site.check(&python, service);
    }
}

/// The document of production asks for tokens, the service of development does not: were that not found, nothing would.
#[tokio::test]
async fn a_service_that_does_not_do_what_its_document_says_is_found_out() {
    let Some(python) = python() else { return };
    let site = Site::of(System::up_with(&[("RATE_LIMIT", "0")]).await, "none").await;
    let document = site.system.launch.path("production.json");
    let printed = site.system.launch.args(&["openapi", "users"]).run();
    std::fs::write(&document, &printed.stdout).unwrap();
    let some = ["--phases", "coverage", "--include-path", "/api/v1/users"];
    let output = site.schemathesis(&python, "users", document.to_str().unwrap(), &some);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("API accepts requests without authentication"), "{report}");
}
