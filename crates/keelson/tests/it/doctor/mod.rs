//! `keelson doctor`: a system on AWS that is set up right; in the files beside this, whatever may be wrong.

mod faults;
mod here;
mod mistakes;
pub(crate) mod postgres;
mod work;

use serde_json::Value;
use testkit::aws::Service;

use crate::cloud::{BUCKET, Cloud, QUEUE};
use crate::launch::{Launch, STRONG_TOKEN};

const SECRET_KEY: &str = "secret-key-that-nobody-may-see";

/// What it found, from its JSON.
#[derive(Debug)]
struct Found {
    code: Option<i32>,
    all: Value,
    stderr: String,
}

impl Found {
    fn of(launch: &Launch) -> Self {
        let output = launch.run();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let all = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        let found = Self { code: output.status.code(), all, stderr };
        for secret in [STRONG_TOKEN, SECRET_KEY] {
            assert!(!format!("{found:?}").contains(secret), "{secret} is shown: {found:?}");
        }
        let failed = found.checks().iter().any(|check| check["status"] == "failed");
        assert_eq!(found.code, Some(i32::from(failed)), "the exit code is another than the checks say: {found:?}");
        found
    }

    fn checks(&self) -> &[Value] {
        self.all["checks"].as_array().unwrap()
    }

    fn check(&self, name: &str) -> &Value {
        let mut named = self.checks().iter().filter(|check| check["name"] == name);
        let check = named.next().unwrap_or_else(|| panic!("no check {name}: {self:?}"));
        assert!(named.next().is_none(), "{name} is there twice");
        check
    }

    fn status(&self, name: &str) -> &str {
        self.check(name)["status"].as_str().unwrap()
    }

    /// One check came out so; its text and its fix have these parts.
    fn expect(&self, name: &str, status: &str, text: &str, fix: &str) {
        let check = self.check(name);
        let steps: Vec<&str> = check["fix"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
        let fits = check["status"] == status && check["text"].as_str().unwrap().contains(text);
        assert!(fits && steps.join("\n").contains(fix), "expected {status} {text:?} {fix:?}, found {check:#}");
        assert!(status == "ok" || status == "not_checked" || !steps.is_empty(), "without a fix: {check:#}");
    }

    /// The others are as they should be.
    fn expect_only(&self, names: &[&str]) {
        let ill = self.checks().iter().filter(|check| check["status"] == "failed" || check["status"] == "warning");
        let ill: Vec<&str> = ill.map(|check| check["name"].as_str().unwrap()).collect();
        assert_eq!(ill, names, "{:#}", self.all);
    }
}

/// Its settings are those of the services on this cloud.
fn doctor(cloud: &Cloud, args: &[&str]) -> Launch {
    let launch = cloud.serve(&[]).args(&[&["doctor"], args].concat());
    launch.env("VISIBILITY_TIMEOUT", "30s").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
}

fn look(cloud: &Cloud) -> Found {
    Found::of(&doctor(cloud, &["--json"]))
}

/// On another queue, bucket or token.
fn look_with(cloud: &Cloud, name: &str, value: &str) -> Found {
    let launch = doctor(cloud, &["--json"]);
    let launch = if name == "API_TOKEN" { launch.unset("SSM_PARAMETER_NAME") } else { launch };
    Found::of(&launch.env(name, value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_up_right_is_0_and_nothing_is_changed() {
    let cloud = Cloud::start().await;
    cloud.fake.send(QUEUE, "{}", &[]);
    let found = look(&cloud);
    found.expect_only(&[]);
    assert_eq!((found.code, found.stderr.as_str()), (Some(0), ""), "{found:?}");
    let names = [
        "credentials",
        "clock",
        "queue",
        "dead_letters",
        "visibility",
        "bucket",
        "encryption",
        "public_access",
        "api_token",
    ];
    for name in names {
        assert_eq!(found.status(name), "ok", "{found:?}");
    }
    found.expect("credentials", "ok", "arn:aws:iam::", "");
    found.expect("visibility", "ok", "no work was observed", "");
    found.expect("running", "not_checked", "nothing runs on", "");

    let actions: Vec<_> = cloud.fake.call_counts().by_action.into_keys().collect();
    assert!(actions.iter().all(|action| action.starts_with("Get")), "more than questions: {actions:?}");
    assert_eq!(cloud.fake.messages(QUEUE)[0].receive_count, 0);
    assert!(cloud.fake.objects(BUCKET).is_empty());

    let launch = doctor(&cloud, &[]);
    let text = String::from_utf8(launch.run().stdout).unwrap();
    assert!(text.is_ascii() && !text.contains('\x1b'), "marks for a terminal in a pipe: {text:?}");
    assert!(text.contains("\nok queue ") && text.ends_with("\n\n9 ok, 1 not checked\n"), "{text}");
    assert!(!launch.data().exists(), "a look makes a data folder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_1_with_its_fix_below_it() {
    let cloud = Cloud::start().await;
    let output = doctor(&cloud, &[]).env("S3_BUCKET_NAME", "no-such-bucket").run();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let (_, bucket) = text.split_once("\n x bucket ").unwrap();
    let lines: Vec<&str> = bucket.lines().take(3).collect();
    assert!(lines[0].contains("the bucket no-such-bucket does not exist"), "{text}");
    assert!(lines[1].starts_with("     fix: ") && lines[2].contains("aws s3 mb s3://no-such-bucket "), "{text}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: 1 of 10 checks failed\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_settings_use_is_asked() {
    let cloud = Cloud::start().await;
    let files = doctor(&cloud, &["--json"]).unset("S3_BUCKET_NAME").unset("SSM_PARAMETER_NAME");
    let found = Found::of(&files.env("API_TOKEN", STRONG_TOKEN));
    assert_eq!((found.status("queue"), found.status("disk"), found.status("objects")), ("ok", "ok", "not_checked"));
    assert_eq!(cloud.fake.calls_to(Service::S3) + cloud.fake.calls_to(Service::Ssm), 0, "{found:?}");
}
