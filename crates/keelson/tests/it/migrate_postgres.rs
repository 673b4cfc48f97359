//! `keelson migrate` on PostgreSQL: many at once, one that is killed, and users of the database with few rights.

use crate::doctor::postgres::PASSWORD;
use crate::launch::Launch;
use crate::migrate::{done, five_at_once, json_of, migrate, of_records, refused};
use crate::postgres_server::Server;

fn on(server: &Server) -> Launch {
    of_records().env("DATABASE_URL", &server.url("postgres"))
}

#[test]
fn of_five_at_once_on_an_empty_database_one_applies_and_none_fails() {
    let Some(server) = Server::start() else { return };
    let launch = on(&server);
    assert_eq!(migrate(&launch, &["status"]).code, Some(1));
    assert!(done(&launch, &["plan"]).contains("username_key  text    COLLATE \"C\" UNIQUE"));
    five_at_once(&launch);
    assert_eq!(done(&launch, &["up"]), "nothing is pending\n");
    assert_eq!(done(&launch, &["plan"]), "");
    assert!(!launch.data().exists(), "a database elsewhere needs no folder");
}

/// A migration stands still in its middle: the table is made, its index is not.
const STANDS_STILL: &str = "CREATE FUNCTION public.stand() RETURNS event_trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(3); END $$; \
    CREATE EVENT TRIGGER stand ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.stand()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_in_the_middle_leaves_nothing_and_the_next_one_finishes() {
    let Some(server) = Server::start() else { return };
    let launch = on(&server);
    server.sql(STANDS_STILL);
    let mut killed = launch.args(&["migrate", "up"]).spawn();
    server.until("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')").await;
    killed.kill();
    server.sql("DROP EVENT TRIGGER stand");
    let status = migrate(&launch, &["status"]);
    assert!(status.code == Some(1) && status.stdout.contains("pending"), "{status:?}");
    assert!(server.ask("sql postgres SELECT FROM keelson_users.users").starts_with("42P01"), "half of it is there");
    let up = migrate(&launch, &["up", "--json"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(json_of(&up.stdout)["applied"].as_array().unwrap().len(), 3, "{up:?}");
    assert_eq!(migrate(&launch, &["status"]).code, Some(0));
}

#[test]
fn a_user_who_may_not_make_tables_is_told_so_and_starts_on_those_that_the_owner_made() {
    let Some(server) = Server::start() else { return };
    let owner = on(&server);
    let clerk = of_records().env("DATABASE_URL", &server.add_user("clerk"));
    let text = refused(&clerk, &["up"], 69);
    let error = text.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("(42501)") && error.contains("CREATE SCHEMA keelson_users AUTHORIZATION"), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");

    done(&owner, &["up"]);
    let text = refused(&clerk, &["status"], 69);
    assert!(text.contains("(42501)") && text.contains("give this one USAGE"), "{text}");
    // As docs/COMMANDS.md tells it.
    let rights = "SELECT, INSERT, UPDATE, DELETE ON";
    for schema in ["keelson_users", "keelson_orders"] {
        server.sql(&format!("GRANT USAGE ON SCHEMA {schema} TO clerk"));
        server.sql(&format!("GRANT {rights} ALL TABLES IN SCHEMA {schema} TO clerk"));
        server.sql(&format!("ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rights} TABLES TO clerk"));
    }
    assert_eq!(migrate(&clerk, &["status"]), migrate(&owner, &["status"]));
    assert_eq!(done(&clerk, &["up"]), "nothing is pending\n");
    server.sql("CREATE TABLE keelson_users.later (a int)");
    server.sql("SET ROLE clerk; INSERT INTO keelson_users.later VALUES (1)");
}

#[test]
fn the_seeds_names_lead_to_the_same_database_and_a_newer_history_is_shown_as_such() {
    let Some(server) = Server::start() else { return };
    let launch = of_records().env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", &server.port.to_string());
    let launch = launch.env("POSTGRES_USER", "postgres").env("POSTGRES_DB", "postgres");
    let file = launch.path("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let launch = launch.env("POSTGRES_PASSWORD", &format!("file:{}", file.display()));
    done(&launch, &["up"]);
    assert_eq!(migrate(&on(&server), &["status"]).code, Some(0));

    server.sql("INSERT INTO keelson_users.users_migrations VALUES (99, 'add_photo', 'x', 1000000)");
    let text = done(&launch, &["status"]);
    let newer = text.lines().find(|line| line.contains("99")).unwrap();
    assert_eq!(newer, "users            99  add_photo            1970-01-01T00:00:01Z, by a newer Keelson", "{text}");
    let newest = json_of(&done(&launch, &["status", "--json"]))["migrations"][2].clone();
    assert_eq!((&newest["version"], &newest["state"]), (&99.into(), &"newer".into()), "{newest}");
    assert_eq!(done(&launch, &["up"]), "nothing is pending\n");
}
