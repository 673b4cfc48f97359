//! `keelson doctor` and a queue on PostgreSQL: a real server, each mistake in how it is set up, and the fix for it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Found;
use crate::launch::{Launch, STRONG_TOKEN};
use crate::postgres_server::Server;
use crate::production;
use crate::system::{Answer, email, eventually, files};

pub(crate) const PASSWORD: &str = "hunter2-hunter2";

/// Every check of the queue.
const CHECKS: [&str; 8] =
    ["queue", "schema", "rights", "dead_letters", "connections", "durability", "database_clock", "visibility"];

impl Server {
    pub(crate) fn sql(&self, statement: &str) {
        self.control(&format!("sql postgres {statement}"));
    }

    /// Until a condition of SQL holds.
    pub(crate) async fn until(&self, condition: &str) {
        let assertion = format!("sql postgres DO $$ BEGIN ASSERT {condition}; END $$");
        eventually(condition, || (self.ask(&assertion) == "ok").then_some(())).await;
    }

    /// A role that needs its password; the administrator needs none.
    pub(crate) fn add_user(&self, name: &str) -> String {
        self.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"));
        format!("postgres://{name}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }
}

/// Its settings are those of the services on this database.
fn doctor(url: &str, args: &[&str]) -> Launch {
    let launch = production::serve(&[]).args(&[&["doctor", "--json"], args].concat());
    launch.env("QUEUE_URL", url)
}

fn look(url: &str) -> Found {
    found(&doctor(url, &[]))
}

fn found(launch: &Launch) -> Found {
    let found = Found::of(launch);
    assert!(!format!("{found:?}").contains(PASSWORD), "the password is shown: {found:?}");
    found
}

/// The statements that a check tells to run.
fn grants(found: &Found) -> Vec<String> {
    let fix = found.check("rights")["fix"].as_array().unwrap().iter().map(|step| step.as_str().unwrap());
    fix.filter(|step| step.starts_with("GRANT ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_set_up_right_is_0_before_the_first_start_and_after_it_and_nothing_is_changed() {
    let Some(server) = Server::start() else { return };
    let url = server.url("postgres");
    for _ in 0..2 {
        let empty = look(&url);
        empty.expect("schema", "not_checked", "the first start makes them (version 1)", "");
        empty.expect("rights", "not_checked", "who makes them owns them", "");
        empty.expect_only(&[]);
    }

    let mut ingest = production::serve(&["ingest"]).env("QUEUE_URL", &url).start().await;
    let body = json!({ "data": email("doctor"), "token": STRONG_TOKEN });
    for _ in 0..3 {
        assert_eq!(Answer::of(ingest.post("ingest", "/api/message").json(&body)).await.status, 200);
    }
    for _ in 0..2 {
        let found = look(&url);
        found.expect_only(&[]);
        for name in CHECKS {
            assert_eq!(found.status(name), "ok", "{found:?}");
        }
        found.expect("queue", "ok", &format!("database postgres at 127.0.0.1:{} answers in", server.port), "");
        found.expect("queue", "ok", "; 3 messages wait, 0 in work, 0 for later, the oldest was sent ", "");
        found.expect("connections", "ok", " of 400 in use, ", "");
        found.expect("visibility", "ok", "VISIBILITY_TIMEOUT is 30s", "");
    }

    server.sql("UPDATE keelson_queue.deliveries SET due_at = due_at + 3600000000 WHERE seq = 1");
    server.sql("UPDATE keelson_queue.deliveries SET due_at = due_at + 3600000000, nonce = 1 WHERE seq = 2");
    look(&url).expect("queue", "ok", "; 1 message waits, 1 in work, 1 for later, ", "");
    assert!(ingest.stop().await.success());
    let archiver =
        production::serve(&["archiver"]).env("QUEUE_URL", &url).env("VISIBILITY_TIMEOUT", "20s").start().await;
    let observed = || {
        let launch = archiver.launch.args(&["doctor", "--json"]);
        let found = found(&launch);
        let text = found.check("visibility")["text"].as_str().unwrap().to_owned();
        text.contains("99 % of ").then_some((found, text))
    };
    let (found, text) = eventually("work is observed", observed).await;
    assert!(
        text.starts_with("VISIBILITY_TIMEOUT is 20s, extended at half of it while work goes on; 99 % of "),
        "{text}"
    );
    found.expect("running", "ok", "archiver is ready", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_not_to_reach_a_database_has_its_line_and_its_fix() {
    let Some(server) = Server::start() else { return };
    let port = server.port;
    let unreached = |url: &str, text: &str, fix: &str| {
        let begun = Instant::now();
        let found = look(url);
        assert!(begun.elapsed() < Duration::from_secs(20), "{url} takes {:?}", begun.elapsed());
        found.expect("queue", "failed", text, fix);
        found.expect_only(&["queue"]);
        found.expect("rights", "not_checked", "the database does not tell", "");
    };
    // Longer than a name may be, so that no resolver is asked.
    let nobody = "a".repeat(64);
    unreached(
        &format!("postgres://u@{nobody}/q"),
        "nobody knows the name",
        "correct QUEUE_URL, or let this machine know",
    );
    unreached("postgres://u@127.0.0.1:1/q", "nothing listens there", "start the server, or correct QUEUE_URL");
    unreached(&server.url("no_such"), "\"no_such\" does not exist (3D000)", "CREATE DATABASE \"no_such\" ");
    unreached(&(server.url("postgres") + "?sslmode=require"), "TLS: server does not support TLS", "`?sslmode=prefer`");

    let url = server.add_user("keelson");
    server.sql("ALTER ROLE keelson CONNECTION LIMIT 0");
    unreached(&url, "(53300)", "CONNECTION LIMIT");
    server.sql("ALTER ROLE keelson CONNECTION LIMIT -1");
    server.sql("ALTER ROLE keelson SET default_transaction_read_only = on");
    unreached_writes(&url);
    server.sql("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
    unreached(&url, "(42501)", "GRANT CONNECT ON DATABASE \"postgres\" TO \"keelson\"");
    server.sql("GRANT CONNECT ON DATABASE postgres TO PUBLIC");
    server.sql("REVOKE SELECT ON pg_roles FROM PUBLIC");
    unreached(&url, "permission denied for view pg_roles (42501)", "GRANT SELECT ON it TO \"keelson\"");
    server.sql("GRANT SELECT ON pg_roles TO PUBLIC");

    // Each line is one rule, the first that fits counts.
    let rules = "('host all postgres 127.0.0.1/32 trust'), ('host all keelson 127.0.0.1/32 scram-sha-256')";
    server.sql(&format!(
        "DO $$ BEGIN EXECUTE format('COPY (VALUES {}) TO %L', current_setting('hba_file')); END $$",
        rules.replace('\'', "''")
    ));
    server.sql("SELECT pg_reload_conf()");
    let wrong = url.replace(PASSWORD, "wrong");
    let refused = || look(&wrong).check("queue")["text"].as_str().unwrap().contains("(28P01)").then_some(());
    eventually("the server has read its rules", refused).await;
    unreached(&wrong, "password authentication failed for user \"keelson\" (28P01)", "ALTER ROLE \"keelson\" PASSWORD");
    unreached(&url.replace("keelson:", "other:"), "no pg_hba.conf entry for host", "`?sslmode=require` in QUEUE_URL");

    let parts = doctor("postgres:", &[]).env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &port.to_string());
    let parts = parts.env("POSTGRES_DB", "postgres").env("POSTGRES_PASSWORD", "wrong");
    found(&parts).expect(
        "queue",
        "failed",
        "(28P01)",
        "correct user and password in POSTGRES_USER and POSTGRES_PASSWORD",
    );
    let missing = found(&parts.clone().env("POSTGRES_PASSWORD", "file:/no/such/file"));
    missing.expect("queue", "failed", "POSTGRES_PASSWORD=file:/no/such/file", "mend what POSTGRES_PASSWORD");
    let right = found(&parts.env("POSTGRES_PASSWORD", PASSWORD));
    right.expect("queue", "failed", "only read", "RESET default_transaction_read_only");

    server.control("freeze");
    unreached(&url, "did not answer in time", "a firewall, a security group");
    server.control("thaw");
}

/// It is reached, and of no use.
fn unreached_writes(url: &str) {
    let found = look(url);
    found.expect(
        "queue",
        "failed",
        "default_transaction_read_only is on",
        "ALTER ROLE keelson RESET default_transaction",
    );
    assert_eq!(found.code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_it_asks_for_are_those_that_the_services_need() {
    let Some(server) = Server::start() else { return };
    let url = server.add_user("keelson");
    server.sql("REVOKE CREATE ON DATABASE postgres FROM PUBLIC");
    let found = look(&url);
    found.expect("schema", "failed", "keelson may not make them", "CREATE SCHEMA keelson_queue AUTHORIZATION keelson");
    found.expect_only(&["schema"]);
    // As the owner of the tables, who is somebody else.
    assert!(
        production::serve(&["ingest"]).env("QUEUE_URL", &server.url("postgres")).start().await.stop().await.success()
    );

    let found = look(&url);
    found.expect("schema", "not_checked", "see rights", "");
    found.expect("rights", "failed", "USAGE on keelson_queue", "GRANT USAGE ON SCHEMA keelson_queue TO keelson");
    found.expect(
        "rights",
        "failed",
        "SELECT, INSERT, DELETE on messages",
        "GRANT USAGE ON SEQUENCE keelson_queue.message_places TO keelson",
    );
    found.expect_only(&["rights"]);
    let services = grants(&found);
    services.iter().for_each(|grant| server.sql(grant));
    let found = look(&url);
    found.expect("rights", "warning", "`keelson dlq` needs it", "keelson_queue.dead_letters TO keelson");
    found.expect_only(&["rights"]);

    // They are enough: for a message that is stored, one that is given up, and the leases of a process that died.
    let serve = |service: &str| production::serve(&[service]).env("QUEUE_URL", &url).env("LOG_LEVEL", "DEBUG");
    let objects = tempfile::tempdir().unwrap();
    let folder = objects.path().join("objects");
    let ingest = serve("ingest").start().await;
    let archiver = serve("archiver").env("OBJECTS_URL", &format!("file:{}", folder.display()));
    archiver.start().await.kill();
    let archiver = archiver.start().await;
    server.sql("INSERT INTO keelson_queue.messages VALUES (1000000, gen_random_uuid(), 1, '{}', 'no object')");
    server.sql("INSERT INTO keelson_queue.deliveries (seq, due_at, sent_at, receive_count) VALUES (1000000, 1, 1, 0)");
    let body = json!({ "data": email("rights"), "token": STRONG_TOKEN });
    assert_eq!(Answer::of(ingest.post("ingest", "/api/message").json(&body)).await.status, 200);
    server.until("(SELECT count(*) FROM keelson_queue.dead_letters) = 1").await;
    server.until("(SELECT count(*) FROM keelson_queue.messages WHERE seq < 1000000) = 0").await;
    server.until("(SELECT count(*) FROM keelson_queue.workers) = 2").await;
    assert!(files(&folder).iter().any(|file| file.extension().is_some_and(|it| it == "json")), "it is not stored");
    for system in [&ingest, &archiver] {
        assert!(!system.stdout().contains("42501"), "a right is missing: {}", system.stdout());
    }

    server.sql("TRUNCATE keelson_queue.dead_letters");

    let operators = grants(&look(&url));
    operators.iter().for_each(|grant| server.sql(grant));
    let found = look(&url);
    found.expect_only(&[]);
    found.expect("rights", "ok", "keelson may do all that is needed", "");
    each_is_missed(&server, &url, services.iter().chain(&operators));
    look(&url).expect("rights", "ok", "", "");
}

/// Takes each right away that these statements gave, and gives it back.
fn each_is_missed<'a>(server: &Server, url: &str, given: impl Iterator<Item = &'a String>) {
    for grant in given {
        server.sql(&grant.replace("GRANT ", "REVOKE ").replace(" TO ", " FROM "));
        let found = look(url);
        assert!(matches!(found.status("rights"), "failed" | "warning"), "{grant} is not missed: {found:?}");
        let missed = grants(&found);
        let is_named = |right: &str| {
            missed.iter().any(|it| it.contains(right) && it.ends_with(&grant[grant.find(" ON ").unwrap()..]))
        };
        let (rights, _) = grant.trim_start_matches("GRANT ").split_once(" ON ").unwrap();
        assert!(rights.split(", ").all(is_named), "{grant} is not named: {missed:?}");
        server.sql(grant);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_counted_in_time_is_estimated() {
    let Some(server) = Server::start() else { return };
    assert!(
        production::serve(&["ingest"]).env("QUEUE_URL", &server.url("postgres")).start().await.stop().await.success()
    );
    let url = server.add_user("keelson");
    grants(&look(&url)).iter().for_each(|grant| server.sql(grant));
    grants(&look(&url)).iter().for_each(|grant| server.sql(grant));
    // Whoever is not the owner sees a dead letter after more than a question may take.
    server.sql("ALTER TABLE keelson_queue.dead_letters ENABLE ROW LEVEL SECURITY");
    server.sql("CREATE POLICY slow ON keelson_queue.dead_letters USING (pg_sleep(3) IS NOT NULL)");
    server.sql("INSERT INTO keelson_queue.dead_letters (seq, id, receive_count, reason, dead_at) VALUES (1, gen_random_uuid(), 3, '', 0)");
    let begun = Instant::now();
    let found = look(&url);
    assert!(begun.elapsed() > Duration::from_secs(2), "it was counted: {found:?}");
    found.expect("queue", "ok", "; 0 messages wait, ", "");
    found.expect("rights", "ok", "", "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_alone_needs_fewer_rights() {
    let Some(server) = Server::start() else { return };
    assert!(
        production::serve(&["ingest"]).env("QUEUE_URL", &server.url("postgres")).start().await.stop().await.success()
    );
    let url = server.add_user("keelson");
    let ingest = || found(&doctor(&url, &["ingest"]));
    grants(&ingest()).iter().for_each(|grant| server.sql(grant));
    assert_eq!(ingest().status("rights"), "warning");
    look(&url).expect("rights", "failed", "SELECT, DELETE on messages", "GRANT INSERT ON keelson_queue.dead_letters");
    let ingest = production::serve(&["ingest"]).env("QUEUE_URL", &url).start().await;
    let body = json!({ "data": email("rights"), "token": STRONG_TOKEN });
    assert_eq!(Answer::of(ingest.post("ingest", "/api/message").json(&body)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dangerous_or_does_not_fit_is_told_with_its_fix() {
    let Some(server) = Server::start() else { return };
    let url = server.url("postgres");
    assert!(production::serve(&["ingest"]).env("QUEUE_URL", &url).start().await.stop().await.success());
    look(&url).expect_only(&[]);

    server.sql("ALTER SYSTEM SET fsync = off");
    server.sql("SELECT pg_reload_conf()");
    let is_off = || (look(&url).status("durability") == "warning").then_some(());
    eventually("the server has read its settings", is_off).await;
    let found = look(&url);
    found.expect("durability", "warning", "fsync is off: a power cut loses messages", "ALTER SYSTEM SET fsync = on");
    found.expect_only(&["durability"]);
    assert_eq!(found.code, Some(0));
    server.sql("ALTER SYSTEM RESET fsync");
    server.sql("SELECT pg_reload_conf()");
    server.sql("ALTER ROLE postgres SET synchronous_commit = off");
    let is_synchronous = || {
        let found = look(&url);
        let check = found.check("durability").to_string();
        (!check.contains("fsync is off") && check.contains("synchronous_commit is off")).then_some(found)
    };
    let found = eventually("the server has read its settings", is_synchronous).await;
    found.expect("durability", "warning", "the queue sets it on for itself", "RESET synchronous_commit");
    server.sql("ALTER ROLE postgres RESET synchronous_commit");

    let few = server.add_user("few");
    server.sql("ALTER ROLE few CONNECTION LIMIT 3");
    look(&few).expect(
        "connections",
        "warning",
        "free for few; a process opens up to 7",
        "ALTER ROLE few CONNECTION LIMIT",
    );

    server.sql("INSERT INTO keelson_queue.dead_letters (seq, id, receive_count, reason, dead_at) VALUES (1, gen_random_uuid(), 3, '', 0)");
    let found = look(&url);
    found.expect("dead_letters", "warning", "1 there", "keelson dlq list");
    found.expect_only(&["dead_letters"]);
    server.sql("TRUNCATE keelson_queue.dead_letters");

    server.sql("UPDATE keelson_queue.schema_version SET version = 99");
    look(&url).expect("schema", "failed", "version 99, and this program knows up to 1", "run the newer Keelson");
    server.sql("UPDATE keelson_queue.schema_version SET version = 1");
    server.sql("DROP TABLE keelson_queue.workers");
    let found = look(&url);
    found.expect("schema", "failed", "the schema keelson_queue has no workers", "restore it from a backup");
    found.expect_only(&["schema"]);

    let latin = "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    server.sql(latin);
    look(&server.url("latin")).expect("queue", "failed", "the encoding of latin is LATIN1", "ENCODING 'UTF8'");
}
