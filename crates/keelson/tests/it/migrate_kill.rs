//! Migrations that are killed at any moment, alone and with others beside them: the next one finishes them.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::dice::Dice;
use crate::launch::Launch;
use crate::migrate::{done, json_of, migrate, of_records};
use crate::postgres_server::Server;
use crate::system::Answer;

/// Processes that migrate at once.
const MIGRATORS: usize = 3;

/// Each statement on tables takes its time, so that most kills come between two of them.
const SLOW: &str = "CREATE FUNCTION public.slow() RETURNS event_trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(0.03); END $$; \
    CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX') \
    EXECUTE FUNCTION public.slow()";

/// A place without tables for each round.
trait Places: Sync {
    fn fresh(&self, round: usize) -> Launch;

    /// Whether there is something of a migration that was not finished.
    fn is_begun(&self, round: usize, launch: &Launch) -> bool;
}

/// A folder of its own.
struct Folders;

impl Places for Folders {
    fn fresh(&self, _: usize) -> Launch {
        of_records()
    }

    fn is_begun(&self, _: usize, launch: &Launch) -> bool {
        launch.data().join("keelson.db").exists()
    }
}

impl Places for Server {
    fn fresh(&self, round: usize) -> Launch {
        self.sql(&format!("CREATE DATABASE round_{round} TEMPLATE slow"));
        of_records().env("DATABASE_URL", &self.url(&format!("round_{round}")))
    }

    /// The server goes on with the statements that it has from somebody who is dead.
    fn is_begun(&self, round: usize, _: &Launch) -> bool {
        let works = "datname = current_database() AND wait_event = 'PgSleep'";
        let assertion = format!("ASSERT EXISTS (SELECT FROM pg_stat_activity WHERE {works})");
        self.ask(&format!("sql round_{round} DO $$ BEGIN {assertion}; END $$")) == "ok"
    }
}

fn start(launch: &Launch) -> Child {
    let mut command = launch.args(&["migrate", "up"]).command();
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// How long an undisturbed one takes, and what there is then.
fn undisturbed(launch: &Launch) -> (Duration, Value) {
    let begun = Instant::now();
    done(launch, &["up"]);
    (begun.elapsed(), names(launch, "applied"))
}

/// The migrations in this state.
fn names(launch: &Launch, state: &str) -> Value {
    let status = json_of(&migrate(launch, &["status", "--json"]).stdout);
    let migrations = status["migrations"].as_array().unwrap().iter().filter(|it| it["state"] == state);
    json!(migrations.map(|it| [&it["service"], &it["name"]]).collect::<Vec<_>>())
}

/// Starts some at once and kills each at a moment of its own, but for the last one where it is to be spared. Answers
/// whether that one succeeded.
async fn kill_some(launch: &Launch, lives: Vec<Duration>, spare: bool) -> bool {
    let mut migrators: Vec<Child> = lives.iter().map(|_| start(launch)).collect();
    let spared = spare.then(|| migrators.pop().unwrap());
    let mut moments: Vec<_> = lives.into_iter().zip(&mut migrators).collect();
    moments.sort_by_key(|(life, _)| *life);
    let begun = Instant::now();
    for (life, migrator) in moments {
        sleep(life.saturating_sub(begun.elapsed())).await;
        migrator.kill().unwrap();
        migrator.wait().unwrap();
    }
    spared.is_none_or(|mut it| it.wait().unwrap().success())
}

/// Kills migrations in so many places, and finishes each: by a migrator that was there all the time, by the next one, or
/// by the start of a service. Answers how many were killed in their middle.
async fn survive(places: &impl Places, rounds: usize) -> usize {
    let (mut dice, mut halves) = (Dice::new(), 0);
    let (longest, expected) = undisturbed(&places.fresh(rounds));
    for round in 0..rounds {
        let launch = places.fresh(round);
        let lives: Vec<_> = (0..MIGRATORS).map(|_| longest.mul_f64(dice.fraction())).collect();
        let told = format!("round {round}: killed after {lives:?} of {longest:?}");
        let spare = round % 3 == 0;
        assert!(kill_some(&launch, lives, spare).await, "one that was spared failed beside those that were killed");
        let is_begun = places.is_begun(round, &launch);
        let is_pending = names(&launch, "applied") != expected;
        assert!(!(spare && is_pending), "one that was spared left something to do");
        println!("{told}: begun {is_begun}, pending {is_pending}");
        halves += usize::from(is_begun && is_pending);
        match round % 3 {
            1 => drop(done(&launch, &["up"])),
            2 => serves(&launch).await,
            _ => {}
        }
        assert_eq!((names(&launch, "applied"), names(&launch, "pending")), (expected.clone(), json!([])));
        serves(&launch).await;
    }
    halves
}

/// A start brings the tables up to date, and users are kept in them.
async fn serves(launch: &Launch) {
    let mut system = launch.start().await;
    let path = "/api/v1/users";
    let before = Answer::of(system.get("users", path)).await.json().as_array().unwrap().len();
    let body = json!({ "name": "x", "email": format!("number-{before}@example.com") });
    assert_eq!(Answer::of(system.post("users", path).json(&body)).await.status, 201);
    assert!(system.stop().await.success());
}

/// A server whose databases are slow to change.
fn slow_server() -> Option<Server> {
    let server = Server::start()?;
    server.sql("CREATE DATABASE slow");
    assert_eq!(server.ask(&format!("sql slow {SLOW}")), "ok");
    Some(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_that_are_killed_are_finished_by_the_next_one_on_sqlite() {
    survive(&Folders, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_that_are_killed_are_finished_by_the_next_one_on_postgresql() {
    let Some(server) = slow_server() else { return };
    survive(&server, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn migrations_that_are_killed_fifty_times_are_finished_by_the_next_one_on_sqlite() {
    assert!(survive(&Folders, 50).await > 0, "no kill came in the middle of a migration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn migrations_that_are_killed_fifty_times_are_finished_by_the_next_one_on_postgresql() {
    let Some(server) = slow_server() else { return };
    assert!(survive(&server, 50).await > 0, "no kill came in the middle of a migration");
}
