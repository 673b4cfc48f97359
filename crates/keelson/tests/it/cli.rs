//! The command line: what scripts rely on, its texts and its exit codes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use chassis::testing::require_tool;
use serde_json::Value;

use crate::durability::stop;
use crate::launch::{BINARY, Launch};
use crate::system::System;

/// Standard output, standard error, exit code.
fn parts(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// The text of a refusal, which goes to standard error alone.
fn refused(launch: &Launch, code: i32) -> String {
    let (stdout, stderr, found) = parts(&launch.run());
    assert_eq!((found, stdout.as_str()), (Some(code), ""), "{stderr}");
    assert!(!stderr.contains('\x1b'), "colour in a pipe: {stderr:?}");
    stderr
}

/// What a command that succeeds prints.
fn printed(launch: &Launch) -> String {
    let (stdout, stderr, code) = parts(&launch.run());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(!stdout.contains('\x1b'), "colour in a pipe: {stdout:?}");
    stdout
}

#[test]
fn five_mistakes_are_one_message_of_five_lines() {
    let launch = Launch::up().env("RATE_LIMIT", "lots").env("LOG_LEVEL", "LOUD").env("INGEST_PORT", "99999");
    let text = refused(&launch.env("POLL_INTERVAL", "soon").env("KEELSON_HOST", "nowhere"), 64);
    let (heading, lines) = text.split_once('\n').unwrap();
    assert_eq!(heading, "error: the configuration has 5 mistakes:");
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    let wrong =
        ["RATE_LIMIT=lots", "LOG_LEVEL=LOUD", "INGEST_PORT=99999", "POLL_INTERVAL=soon", "KEELSON_HOST=nowhere"];
    for setting in wrong {
        let line = lines.iter().find(|line| line.contains(setting)).unwrap_or_else(|| panic!("{setting}: {text}"));
        assert!(line.contains("expected"), "{line}");
    }
}

#[test]
fn wrong_usage_is_64() {
    for args in [&["up", "--frob"][..], &["frob"], &["serve"], &["serve", "nothing"], &["config", "explain", "NOPE"]] {
        assert!(refused(&Launch::new(args), 64).starts_with("error:"), "{args:?}");
    }
}

#[test]
fn services_on_other_machines_reach_are_not_started_by_accident() {
    let text = refused(&Launch::new(&["serve", "ingest"]), 64);
    assert!(text.contains("PRODUCTION is not set") && text.contains("API_TOKEN is not set"), "{text}");
    let text = refused(&Launch::new(&["up", "--host", "0.0.0.0"]), 64);
    assert!(text.contains("PRODUCTION is not set"), "{text}");
}

#[test]
fn production_takes_no_weak_token_and_never_repeats_it() {
    let serve = || Launch::new(&["serve", "ingest"]).env("PRODUCTION", "true");
    assert!(refused(&serve(), 64).contains("API_TOKEN is not set"));
    let long = "my-secret-token-that-is-long-enough-for-anything";
    for (token, expected) in [("too-short", "at least 32 bytes"), (long, "public documents")] {
        let text = refused(&serve().env("API_TOKEN", token), 64);
        assert!(text.contains("API_TOKEN=***") && text.contains(expected) && !text.contains(token), "{text}");
    }
}

#[test]
fn a_taken_port_names_port_variable_and_holder() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = refused(&Launch::up().env("INGEST_PORT", &port.to_string()), 69);
    let last = text.lines().last().unwrap();
    for part in [format!("port {port} is taken"), "INGEST_PORT".into(), format!("pid {}", std::process::id())] {
        assert!(last.contains(&part), "{part}: {text}");
    }
}

#[test]
fn an_unknown_backend_lists_the_known_ones() {
    let text = refused(&Launch::up().env("QUEUE_URL", "kafka://user:pass@broker"), 64);
    assert!(text.contains("`kafka`") && text.contains("`sqlite:PATH`") && text.contains("`memory:`"), "{text}");
    assert!(!text.contains("pass"), "{text}");
    let text = refused(&Launch::up().env("OBJECTS_URL", "ftp:x"), 64);
    assert!(text.contains("`ftp`") && text.contains("`file:DIR`") && text.contains("`memory:`"), "{text}");
}

#[test]
fn config_tells_each_setting_its_value_and_its_origin() {
    let launch = Launch::new(&["config"]).env("RATE_LIMIT", "7").env("API_TOKEN", "hidden-from-view");
    let file = launch.path("keelson.toml");
    fs::write(&file, "[log]\nlevel = \"DEBUG\"\n").unwrap();
    let launch = launch.env("KEELSON_CONFIG", file.to_str().unwrap());
    let text = printed(&launch);
    let line = |name: &str| text.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap().to_owned();
    assert!(line("RATE_LIMIT").contains(" 7 ") && line("RATE_LIMIT").contains("environment"));
    assert!(line("LOG_LEVEL").contains("DEBUG") && line("LOG_LEVEL").contains("keelson.toml"));
    assert!(line("POLL_INTERVAL").contains("10s") && line("POLL_INTERVAL").contains("default"));
    assert!(line("API_TOKEN").contains("***") && !text.contains("hidden-from-view"));

    let json: Value = serde_json::from_str(&printed(&launch.args(&["config", "--json"]))).unwrap();
    assert_eq!(json["RATE_LIMIT"]["value"], "7");
    assert_eq!(json["API_TOKEN"]["value"], "***");
    let one = printed(&launch.args(&["config", "explain", "log_level"]));
    assert!(one.starts_with("LOG_LEVEL\n") && one.contains("DEBUG") && one.contains("least severe"), "{one}");
}

#[test]
fn the_printed_reference_is_the_one_in_the_documents() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIGURATION.md");
    let stale = "stale: run `cargo run -- config reference > docs/CONFIGURATION.md`";
    assert!(printed(&Launch::new(&["config", "reference"])) == fs::read_to_string(file).unwrap(), "{stale}");
}

#[test]
fn the_api_document_has_both_routes() {
    let document: Value = serde_json::from_str(&printed(&Launch::new(&["openapi", "ingest"]))).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for path in ["/api/message", "/submit"] {
        assert!(document["paths"][path]["post"]["responses"]["200"].is_object(), "{path}: {document}");
    }
}

#[test]
fn every_command_shows_examples_and_completions_know_them_all() {
    let commands = [
        "up",
        "serve",
        "e2e",
        "send",
        "dlq",
        "archive",
        "token",
        "keys",
        "migrate",
        "doctor",
        "cost",
        "healthcheck",
        "config",
        "openapi",
        "completions",
    ];
    assert!(printed(&Launch::new(&["--help"])).contains("Examples"));
    let completions = printed(&Launch::new(&["completions", "bash"]));
    for command in commands {
        assert!(printed(&Launch::new(&[command, "--help"])).contains("Examples"), "{command}");
        assert!(completions.contains(command), "{command}");
    }
    assert!(printed(&Launch::new(&["--version"])).starts_with("keelson "));
}

#[tokio::test]
async fn the_end_to_end_check_prints_five_steps_and_leaves_nothing_behind() {
    let system = System::up().await;
    let text = printed(&system.launch.args(&["e2e"]));
    let expected = [
        "[1/5] Sending message to Service 1 API...",
        "      Response status: 200",
        "      Message ID: ",
        "[2/5] Message sent successfully to SQS",
        "[3/5] Waiting for Service 2 to process message...",
        "[4/5] Message found in S3!",
        "      S3 Key: messages/",
        "      Processing time: ~",
        "[5/5] Verifying S3 file content...",
        "      Content verified successfully!",
        "[Cleanup] Deleting test file from S3...",
        "         Test file deleted",
        "E2E TEST PASSED",
        "Message traveled successfully:",
        "  API (Service 1) → SQS → Service 2 → S3",
        "Total processing time: ~",
    ];
    let mut rest = text.lines();
    for line in expected {
        assert!(rest.any(|found| found.starts_with(line)), "{line:?} is not next in {text}");
    }
    assert!(!text.contains(&system.token()));
    assert!(system.objects().is_empty());
}

#[tokio::test]
async fn tools_say_when_nothing_runs_and_when_it_is_not_ready() {
    let nothing = Launch::up();
    for command in ["e2e", "healthcheck"] {
        let text = refused(&nothing.args(&[command]), 69);
        assert!(text.contains("nothing runs on") && text.contains("keelson up"), "{text}");
    }
    let (stdout, stderr, code) = parts(&nothing.args(&["healthcheck", "127.0.0.1:1"]).run());
    assert_eq!((stdout.as_str(), code), ("http://127.0.0.1:1/ no answer\n", Some(69)));
    assert_eq!(stderr, "error: http://127.0.0.1:1/: nothing listens there\n");

    let system = System::up().await;
    let text = printed(&system.launch.args(&["healthcheck"]));
    assert_eq!(text.lines().filter(|line| line.ends_with("/health/ready 200 ready")).count(), 6, "{text}");
    let address = format!("{}/health/live", system.address("ingest"));
    assert!(printed(&system.launch.args(&["healthcheck", &address])).ends_with("200 alive\n"));
    fs::remove_dir_all(system.data().join("objects")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let (stdout, stderr, code) = parts(&system.launch.args(&["healthcheck"]).run());
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("503 not_ready") && stderr.starts_with("error: not ready: "), "{stdout}{stderr}");
}

#[test]
fn a_system_without_certificates_of_authorities_is_told_what_to_install() {
    let launch =
        Launch::new(&["healthcheck", "127.0.0.1:1"]).env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
    let (stdout, stderr, code) = parts(&launch.run());
    assert_ne!(code, Some(0), "{stdout}{stderr}");
    for part in ["No CA certificates", "ca-certificates", "TLS_CA_FILE"] {
        assert!(stderr.contains(part), "{stdout}{stderr}");
    }
}

#[tokio::test]
async fn the_token_is_shown_to_a_person_and_not_to_a_file() {
    let launch = Launch::new(&["up"]);
    let system = launch.start().await;
    let (text, token) = (system.stdout(), system.token());
    assert!(text.starts_with("ready"), "{text}");
    assert!(!text.contains(&token) && text.contains("secrets/api_token") && !text.contains('\x1b'), "{text}");
    assert!(!system.stderr().contains('\x1b'), "colour in a file");
    drop(system);

    let Some(script) = require_tool("script") else { return };
    let line = format!("exec {BINARY} up");
    let terminal = launch.args(&[]).program(&[script.to_str().unwrap(), "-qec", &line, "/dev/null"]);
    let mut terminal = terminal.env("TERM", "xterm").env("SHELL", "/bin/sh").start().await;
    assert!(terminal.stdout().contains(&token), "a person does not see the token");
    // It would outlive the program that holds the terminal.
    stop(&mut terminal).await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once_with_130() {
    let mut system = System::up_with(&[("DRAIN_DELAY", "20s")]).await;
    system.signal("INT");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    system.signal("INT");
    assert_eq!(system.ended().await.code(), Some(130));
}

#[tokio::test]
async fn up_tells_where_everything_is_and_keeps_its_secrets_to_its_owner() {
    let launch = Launch::up();
    let system = launch.start().await;
    let data = launch.data();
    assert_eq!(system.ready["data"], data.to_str().unwrap());
    assert_eq!(system.ready["api_token_file"], data.join("secrets/api_token").to_str().unwrap());
    assert_eq!(system.ready["services"].as_object().unwrap().len(), 6);
    for private in ["run.json", "secrets/api_token", "secrets", ""] {
        let mode = fs::metadata(data.join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{private:?} is open to others: {mode:o}");
    }
    let token = system.token();
    assert_eq!(token.len(), 64, "{token}");
    drop(system);
    assert_eq!(launch.start().await.token(), token, "made once");
}

#[tokio::test]
async fn a_flag_beats_the_environment_and_no_command_means_up() {
    let launch = Launch::up();
    let other = launch.path("other");
    let system = launch.args(&["up", "--json", "--data", other.to_str().unwrap()]).start().await;
    assert_eq!(system.ready["data"], other.to_str().unwrap());
    assert!(!launch.data().exists());
    drop(system);
    let system = launch.args(&[]).start().await;
    assert!(system.stdout().starts_with("ready in "), "{}", system.stdout());
}
