//! Processes that create users: each test starts its own binary again, as the processes that it is about.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::postgres::{Server, create_database, number};
use crate::users::{MIGRATIONS, id, open, user};

/// Tells a process of a test what it is: `URL NAME COUNT`.
const ORDERS: &str = "KEELSON_TEST_CREATE_USERS";
/// Before the name of each user whose creation was answered.
const CREATED: &str = "created: ";
const CALLERS: usize = 32;

/// Whether this is such a process; then its work is done.
#[expect(clippy::disallowed_methods, reason = "a test tells its own processes what they are")]
async fn obeyed() -> bool {
    let Ok(orders) = std::env::var(ORDERS) else { return false };
    let mut words = orders.split(' ');
    let (url, name) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let count: usize = words.next().unwrap().parse().unwrap();
    let store = open(url).await;
    let callers = (0..CALLERS).map(|caller| {
        let (store, name) = (Arc::clone(&store), name.clone());
        async move {
            for number in 0..count {
                let name = format!("{name}.{caller}.{number}");
                store.create(user(&name)).await.unwrap();
                println!("{CREATED}{name}");
            }
        }
    });
    join_all(callers).await;
    true
}

/// A process that creates so many users for each of its callers.
fn start(test: &str, url: &str, name: &str, count: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("users_processes::{test}"), "--nocapture"]);
    command.env(ORDERS, format!("{url} {name} {count}")).stdout(Stdio::piped()).spawn().unwrap()
}

fn created(line: &str) -> Option<String> {
    line.split_once(CREATED).map(|(_, name)| name.to_owned())
}

/// Kills a process that creates users, and looks for all that it was answered.
async fn kill_while_it_creates(test: &str, url: &str) {
    let mut child = start(test, url, "k", usize::MAX);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut names: Vec<String> = lines.by_ref().filter_map(|line| created(&line)).take(1000).collect();
    child.kill().unwrap();
    names.extend(lines.filter_map(|line| created(&line)));
    child.wait().unwrap();
    assert!(names.len() >= 1000, "it ended by itself after {}", names.len());
    let store = open(url).await;
    for name in names {
        assert!(store.find(id(&name)).await.unwrap().is_some(), "{name} was answered and is lost");
    }
    store.create(user("next")).await.unwrap();
}

/// Five processes on an empty database. All of them create users, and one of them the tables.
async fn start_at_once(test: &str, url: &str) {
    const EACH: usize = 4;
    let children: Vec<Child> = (0..5).map(|process| start(test, url, &format!("p{process}"), EACH)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert_eq!(text.lines().filter_map(created).count(), EACH * CALLERS, "{text}");
    }
    let store = open(url).await;
    assert_eq!(store.count().await.unwrap().total, (5 * EACH * CALLERS) as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_creates_loses_nothing_on_sqlite() {
    if obeyed().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    kill_while_it_creates("a_process_that_is_killed_while_it_creates_loses_nothing_on_sqlite", &url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_creates_loses_nothing_on_postgresql() {
    if obeyed().await {
        return;
    }
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    kill_while_it_creates("a_process_that_is_killed_while_it_creates_loses_nothing_on_postgresql", &url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_may_start_at_once_on_one_file() {
    if obeyed().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("users.db").display());
    start_at_once("five_processes_may_start_at_once_on_one_file", &url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_processes_may_start_at_once_on_an_empty_database() {
    if obeyed().await {
        return;
    }
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    start_at_once("five_processes_may_start_at_once_on_an_empty_database", &url).await;
    assert_eq!(
        number(&url, "SELECT count(*) FROM keelson_users.users_migrations").await,
        i64::try_from(MIGRATIONS).unwrap()
    );
}
