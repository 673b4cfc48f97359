//! Migrations: who makes them when many start at once, what is left of one that dies, and what others find then.

use std::time::Duration;

use backends::migrations::{Progress, apply, plan, status};
use backends::{OpenError, USERS};
use chassis::clock::SystemClock;
use futures_util::future::join_all;
use jiff::Timestamp;
use rusqlite::Connection;
use sqlx::Connection as _;
use tokio::time::{Instant, sleep};

use crate::postgres::{connect, execute, fresh_database, number};
use crate::users::{MIGRATIONS, id, open, try_open, user};

/// The lock of whoever makes migrations of users, and what it may have made before it died.
const HALF_A_MIGRATION: &str = "BEGIN; SELECT pg_advisory_xact_lock(1262830924, -11); CREATE SCHEMA keelson_users;
    CREATE TABLE keelson_users.users (half int)";

fn file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    (folder, url)
}

fn connection(url: &str) -> Connection {
    Connection::open(url.strip_prefix("sqlite:").unwrap()).unwrap()
}

/// An empty database of each kind that is there.
async fn databases() -> (tempfile::TempDir, Vec<String>) {
    let (folder, url) = file();
    (folder, [Some(url), fresh_database().await].into_iter().flatten().collect())
}

/// Runs a statement on the table of what was made, on either kind.
async fn tamper(url: &str, statement: &str) {
    if url.starts_with("sqlite:") {
        connection(url).execute_batch(&statement.replace("TABLE", "users_migrations")).unwrap();
    } else {
        execute(url, &statement.replace("TABLE", "keelson_users.users_migrations")).await;
    }
}

#[tokio::test]
async fn what_is_planned_is_made_once_and_listed_with_its_time() {
    let (_folder, urls) = databases().await;
    for url in urls {
        let planned = plan(&USERS, &url).await.unwrap();
        let first = &planned[0];
        assert_eq!((first.service, first.version, first.name.as_str()), ("users", 1, "create_users"), "{url}");
        assert!(matches!(first.progress, Progress::Pending(sql) if sql.contains("CREATE TABLE users")), "{url}");
        assert_eq!(status(&USERS, &url).await.unwrap(), planned);

        let applied = apply(&USERS, &url, &*SystemClock::shared()).await.unwrap();
        assert_eq!(applied.len(), planned.len());
        assert_eq!(status(&USERS, &url).await.unwrap(), applied, "{url}");
        assert!(applied.iter().all(|state| matches!(state.progress, Progress::Applied(_))));
        assert!(apply(&USERS, &url, &*SystemClock::shared()).await.unwrap().is_empty(), "{url}");
        assert!(plan(&USERS, &url).await.unwrap().is_empty());
    }
    assert!(status(&USERS, "memory:").await.unwrap().is_empty());
}

#[tokio::test]
async fn looking_makes_no_file() {
    let (folder, url) = file();
    assert_eq!(plan(&USERS, &url).await.unwrap().len(), MIGRATIONS);
    assert!(folder.path().read_dir().unwrap().next().is_none());
}

#[tokio::test]
async fn looking_leaves_what_a_killed_process_left_as_it_is() {
    let (living, url) = file();
    let (left, left_url) = file();
    let paths = ["users.db", "users.db-wal"].map(|name| left.path().join(name));
    let store = open(&url).await;
    store.create(user("ann")).await.unwrap();
    for path in &paths {
        std::fs::copy(living.path().join(path.file_name().unwrap()), path).unwrap();
    }
    let bytes = || paths.each_ref().map(|path| std::fs::read(path).unwrap());
    let before = bytes();
    assert!(before.iter().all(|bytes| !bytes.is_empty()), "it left no log");
    assert!(matches!(status(&USERS, &left_url).await.unwrap()[0].progress, Progress::Applied(_)));
    assert_eq!(bytes(), before, "a look has changed something");

    std::fs::write(&paths[0], "").unwrap();
    let text = status(&USERS, &left_url).await.unwrap_err().to_string();
    assert!(text.contains("it is missing or empty, and its log is not"), "{text}");
    assert_eq!(bytes()[1], before[1], "a look has removed what was acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_start_at_once_on_an_empty_database_one_makes_the_tables() {
    let (_folder, urls) = databases().await;
    for url in urls {
        let stores = join_all((0..8).map(|_| open(&url))).await;
        for (number, store) in stores.iter().enumerate() {
            store.create(user(&number.to_string())).await.unwrap();
        }
        assert_eq!(stores[0].count().await.unwrap().total, 8);
        assert_eq!(status(&USERS, &url).await.unwrap().len(), MIGRATIONS, "{url}");
    }
}

#[tokio::test]
async fn what_a_migrator_left_that_was_cut_off_in_postgresql_is_undone_and_the_next_one_finishes() {
    let Some(url) = fresh_database().await else { return };
    let mut dying = connect(&url).await;
    sqlx::raw_sql(HALF_A_MIGRATION).execute(&mut dying).await.unwrap();
    let begun = Instant::now();
    let waiting = async { (open(&url).await, begun.elapsed()) };
    let death = async {
        sleep(Duration::from_millis(700)).await;
        drop(dying);
    };
    let ((store, took), ()) = tokio::join!(waiting, death);
    assert!(took >= Duration::from_millis(700), "it did not wait for the other one: {took:?}");
    store.create(user("ann")).await.unwrap();
    assert_eq!(
        number(&url, "SELECT count(*) FROM keelson_users.users_migrations").await,
        i64::try_from(MIGRATIONS).unwrap()
    );
}

#[tokio::test]
async fn what_a_migrator_left_that_was_cut_off_in_sqlite_is_undone_and_the_next_one_finishes() {
    let (_folder, url) = file();
    let dying = connection(&url);
    dying.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE users (half int)").unwrap();
    let begun = Instant::now();
    let waiting = async { (open(&url).await, begun.elapsed()) };
    let death = async {
        sleep(Duration::from_millis(700)).await;
        drop(dying);
    };
    let ((store, took), ()) = tokio::join!(waiting, death);
    assert!(took >= Duration::from_millis(700), "it did not wait for the other one: {took:?}");
    store.create(user("ann")).await.unwrap();
}

#[tokio::test]
async fn a_start_with_nothing_to_make_waits_for_no_lock() {
    let Some(url) = fresh_database().await else { return };
    open(&url).await;
    let mut holder = connect(&url).await;
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(1262830924, -11)").execute(&mut *transaction).await.unwrap();
    let begun = Instant::now();
    open(&url).await.create(user("ann")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    let (_folder, url) = file();
    open(&url).await;
    let holder = connection(&url);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    assert!(open(&url).await.find(id("ann")).await.unwrap().is_none());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn tables_of_a_newer_version_are_worked_with_and_shown() {
    let (_folder, urls) = databases().await;
    for url in urls {
        open(&url).await;
        tamper(&url, "INSERT INTO TABLE VALUES (99, 'add_photos', 'x', 1000000)").await;
        open(&url).await.create(user("ann")).await.unwrap();
        let states = status(&USERS, &url).await.unwrap();
        let (newest, known) = states.split_last().unwrap();
        assert_eq!((newest.version, newest.name.as_str()), (99, "add_photos"), "{url}");
        assert!(known.iter().all(|state| matches!(state.progress, Progress::Applied(_))), "{url}");
        assert_eq!(newest.progress, Progress::Newer(Timestamp::from_second(1).unwrap()), "{url}");
        assert!(plan(&USERS, &url).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_was_made_is_named() {
    let (_folder, urls) = databases().await;
    for url in urls {
        open(&url).await;
        tamper(&url, "UPDATE TABLE SET checksum = 'other'").await;
        for text in [try_open(&url).await.unwrap_err().to_string(), status(&USERS, &url).await.unwrap_err().to_string()]
        {
            assert!(text.contains("0001_create_users") && text.contains("a change of it is a new one"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_user_of_postgresql_who_may_not_make_tables_is_told_what_to_do() {
    let Some(url) = fresh_database().await else { return };
    let name = format!("clerk_{}", url.rsplit('_').next().unwrap());
    execute(&url, &format!("CREATE ROLE {name} LOGIN")).await;
    let little = url.replace("postgres@", &format!("{name}:hunter2@"));
    let error = try_open(&little).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Database { kind: "store of users", .. }), "{text}");
    assert!(text.contains("42501") && text.contains("CREATE SCHEMA keelson_users AUTHORIZATION"), "{text}");
    assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");

    apply(&USERS, &url, &*SystemClock::shared()).await.unwrap();
    let refused = try_open(&little).await.unwrap_err().to_string();
    assert!(refused.contains("42501") && refused.contains("give this one USAGE"), "{refused}");
    let grants = format!(
        "GRANT USAGE ON SCHEMA keelson_users TO {name};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keelson_users TO {name}"
    );
    execute(&url, &grants).await;
    let store = open(&little).await;
    store.create(user("ann")).await.unwrap();
    assert_eq!(store.delete(id("ann"), None, None).await.unwrap(), users::store::Written::Done);
}

#[tokio::test]
async fn tables_of_others_stay_as_they_are() {
    let Some(url) = fresh_database().await else { return };
    execute(&url, "CREATE TABLE users (theirs int); INSERT INTO users VALUES (1)").await;
    open(&url).await.create(user("ann")).await.unwrap();
    assert_eq!(number(&url, "SELECT theirs::int8 FROM public.users").await, 1);
}
