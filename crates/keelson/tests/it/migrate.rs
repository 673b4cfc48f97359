//! `keelson migrate` on the embedded database; wrong settings, and databases that are not there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use crate::launch::Launch;
use crate::system::{Answer, System, files};

/// What a command ended with and printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn migrate(launch: &Launch, args: &[&str]) -> Done {
    let output = launch.args(&[&["migrate"], args].concat()).run();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What one prints that succeeds.
pub(crate) fn done(launch: &Launch, args: &[&str]) -> String {
    let done = migrate(launch, args);
    assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
    done.stdout
}

/// What one says that fails.
pub(crate) fn refused(launch: &Launch, args: &[&str], code: i32) -> String {
    let done = migrate(launch, args);
    assert_eq!((done.code, done.stdout.as_str()), (Some(code), ""), "{args:?}: {done:?}");
    done.stderr
}

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A system of whose tables those of users and orders are in a database, and no others.
pub(crate) fn of_records() -> Launch {
    Launch::up().env("EVENTS_URL", "memory:")
}

/// Five `migrate up` at the same moment; each ends well, and every migration is applied by one of them.
pub(crate) fn five_at_once(launch: &Launch) {
    let one = || json_of(&done(launch, &["up", "--json"]))["applied"].as_array().unwrap().clone();
    let all: Vec<Vec<Value>> = thread::scope(|scope| {
        let running: Vec<_> = (0..5).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let status = json_of(&done(launch, &["status", "--json"]));
    let mut expected = status["migrations"].as_array().unwrap().clone();
    let mut applied: Vec<_> = all.iter().flatten().cloned().collect();
    for migrations in [&mut applied, &mut expected] {
        migrations.sort_by_key(|migration| (migration["service"].to_string(), migration["version"].as_i64()));
    }
    assert_eq!(applied, expected, "{all:?}");
    assert_eq!(status["pending"], 0);
}

/// Every file with what is in it, but for the memory that processes share who have a database open.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files(folder).into_iter().filter(|path| !path.to_string_lossy().ends_with("-shm"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn what_is_pending_is_listed_printed_and_applied_before_the_first_start() {
    let launch = of_records();
    let before = migrate(&launch, &["status"]);
    assert_eq!(before.code, Some(1), "{before:?}");
    let lines: Vec<_> = before.stdout.lines().skip(1).collect();
    let expected = [
        "users             1  create_users         pending",
        "users             2  create_users_outbox  pending",
        "orders            1  create_orders        pending",
    ];
    assert_eq!(lines, expected, "{before:?}");
    let expected = "error: 3 migrations are pending; `keelson migrate up` applies them, as does a start\n";
    assert_eq!(before.stderr, expected);
    let plan = done(&launch, &["plan", "users"]);
    assert!(plan.starts_with("-- users, 0001_create_users\n") && plan.contains("\nCREATE TABLE users ("), "{plan}");
    assert!(!launch.data().exists(), "a look has made something");

    let up = migrate(&launch, &["up"]);
    let expected = "users: applied 0001_create_users\nusers: applied 0002_create_users_outbox\n\
                    orders: applied 0001_create_orders\n3 migrations applied\n";
    assert_eq!((up.code, up.stdout.as_str()), (Some(0), expected));
    assert!(up.stderr.contains("migration 0001_create_users is made"), "{up:?}");
    let files = contents(&launch.data());
    let after = migrate(&launch, &["status"]);
    let of_one = done(&launch, &["status", "orders"]);
    assert!(of_one.contains("create_orders") && !of_one.contains("create_users"), "{of_one}");
    assert_eq!((after.code, after.stderr.as_str()), (Some(0), ""), "{after:?}");
    assert!(after.stdout.starts_with("SERVICE ") && after.stdout.contains("create_users         20"), "{after:?}");
    assert_eq!(done(&launch, &["plan"]), "");
    assert!(contents(&launch.data()) == files, "a look has changed something");
    assert_eq!(done(&launch, &["up"]), "nothing is pending\n");

    let mut system = launch.start().await;
    let users = Answer::of(system.get("users", "/api/v1/users")).await;
    assert_eq!((users.status, users.json()), (200, json!([])), "{users:?}");
    assert_eq!(done(&launch, &["status"]), after.stdout, "of the running system");
    assert_eq!(done(&launch, &["up"]), "nothing is pending\n");
    system.kill();
    let left = contents(&launch.data());
    assert_eq!(done(&launch, &["status"]), after.stdout, "of the system that was killed");
    assert!(contents(&launch.data()) == left, "a look has changed something");
}

#[test]
fn each_service_has_a_history_of_its_own() {
    let launch = Launch::up();
    let listed = migrate(&launch, &["status"]).stdout;
    let services: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(services, ["users", "users", "orders", "analytics"], "{listed}");
    assert_eq!(done(&launch, &["up", "analytics"]), "analytics: applied 0001_create_events\n1 migration applied\n");
    assert!(launch.data().join("events.db").exists() && !launch.data().join("keelson.db").exists());
    let left = migrate(&launch, &["status"]);
    assert_eq!((left.code, left.stdout.matches("pending").count()), (Some(1), 3), "{left:?}");
}

#[test]
fn json_tells_the_same() {
    let launch = of_records();
    let states = |state: &str, at: [&Value; 3]| {
        json!([
            { "service": "users", "version": 1, "name": "create_users", "state": state, "applied_at": at[0] },
            { "service": "users", "version": 2, "name": "create_users_outbox", "state": state, "applied_at": at[1] },
            { "service": "orders", "version": 1, "name": "create_orders", "state": state, "applied_at": at[2] },
        ])
    };
    let pending = json!({ "pending": 3, "migrations": states("pending", [&Value::Null; 3]) });
    let before = migrate(&launch, &["status", "--json"]);
    assert_eq!((before.code, json_of(&before.stdout)), (Some(1), pending), "{before:?}");
    let up = json_of(&done(&launch, &["up", "--json"]));
    let at = [0, 1, 2].map(|place| &up["applied"][place]["applied_at"]);
    let is_instant = |at: &&Value| at.as_str().is_some_and(|at| at.starts_with("20") && at.ends_with('Z'));
    assert!(at.iter().all(is_instant), "{up}");
    let applied = states("applied", at);
    assert_eq!(up, json!({ "applied": applied }));
    assert_eq!(json_of(&done(&launch, &["status", "--json"])), json!({ "pending": 0, "migrations": applied }));
    assert_eq!(json_of(&done(&launch, &["up", "--json"])), json!({ "applied": [] }));
}

#[test]
fn of_five_at_once_on_an_empty_folder_one_applies_and_none_fails() {
    five_at_once(&of_records());
}

#[tokio::test]
async fn a_folder_that_a_system_owns_is_left_to_it() {
    let system = System::up_with(&[("DATABASE_URL", "memory:"), ("EVENTS_URL", "memory:")]).await;
    let launch = system.launch.clone().unset("DATABASE_URL");
    let text = refused(&launch, &["up"], 69);
    let holder = format!("is in use by process {}", system.pid());
    assert!(text.contains(&holder) && text.contains("start this version in its place"), "{text}");
    assert!(!launch.data().join("keelson.db").exists());
    assert_eq!(migrate(&launch, &["status"]).code, Some(1));
}

#[test]
fn what_is_kept_in_memory_has_no_tables() {
    let launch = of_records().env("DATABASE_URL", "memory:");
    assert_eq!(done(&launch, &["status"]), "no migrations: what is kept in memory or as documents has no tables\n");
    assert_eq!(done(&launch, &["plan"]), "");
    assert_eq!(done(&launch, &["up"]), "nothing is pending\n");
    assert!(!launch.data().exists());
}

#[test]
fn wrong_settings_are_64_and_an_unknown_service_lists_the_known_ones() {
    let launch = of_records();
    for (name, value, expected) in [
        ("DATABASE_URL", "kafka://u:hunter2@broker", "`kafka`"),
        ("DATABASE_URL", "postgres://u:hunter2@h:port/q", "not as expected"),
        ("POSTGRES_PORT", "lots", "POSTGRES_PORT=lots"),
    ] {
        for command in ["status", "plan", "up"] {
            let text = refused(&launch.clone().env(name, value), &[command], 64);
            assert!(text.contains(expected) && !text.contains("hunter2"), "{command}: {text}");
        }
    }
    let missing = launch.clone().env("POSTGRES_HOST", "db").env("POSTGRES_PASSWORD", "file:/nowhere");
    assert!(refused(&missing, &["status"], 64).contains("POSTGRES_PASSWORD=file:/nowhere"));
    for command in [&["status", "ingest"][..], &["plan", "x"], &["up", "x"], &["new", "x", "add_photo"]] {
        let text = refused(&launch, command, 64);
        assert!(text.contains("[possible values: users, orders, analytics]"), "{text}");
    }
    assert!(!launch.data().exists());
}

#[test]
fn a_database_that_cannot_be_reached_is_69_and_its_password_is_not_shown() {
    let launch = of_records().env("DATABASE_URL", "postgres://keelson:hunter2@127.0.0.1:1/accounts");
    thread::scope(|scope| {
        for command in ["status", "plan", "up"] {
            scope.spawn(|| {
                let text = refused(&launch, &[command], 69);
                assert!(text.contains("database accounts at 127.0.0.1:1"), "{text}");
                assert!(text.lines().count() == 1 && !text.contains("hunter2"), "{text}");
            });
        }
    });
    let launch = of_records().env("DATABASE_URL", "sqlite:/nowhere/keelson.db");
    assert!(refused(&launch, &["up"], 69).contains("/nowhere/keelson.db: "));
}
