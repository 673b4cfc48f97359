//! Users against the wire contract: each row of its section 5 and of the access table, section 2.4, asked of the real
//! binary in both modes on both databases.

mod access;
mod accounts;
mod row;
mod users;
mod walk;

use std::collections::HashMap;
use std::sync::OnceLock;

use futures_util::future::join_all;

use crate::launch::Launch;
use crate::postgres_server::Server;
use crate::production::serve;
use crate::system::Answer;

use self::accounts::{PASSWORD, register};
use self::row::Row;
use self::walk::Walk;

const KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";

/// Where users are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    InAFile,
    InPostgres,
}

/// An empty database; `None`, after saying so, where PostgreSQL is not installed. It ends with the test program.
fn database(name: &str) -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(Server::start).as_ref()?;
    server.sql(&format!("CREATE DATABASE {name}"));
    Some(server.url(name))
}

fn issue(launch: &Launch, args: &[&str]) -> String {
    let output = launch.args(&[&["token", "issue"], args].concat()).run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Tokens of everybody who has no account. One has no signature, one that of another key, one is for another audience.
fn tokens(launch: &Launch) -> HashMap<String, String> {
    const READ: &[&str] = &["--scope", "users:read"];
    const WRITE: &[&str] = &["--scope", "users:write"];
    let both = [READ, WRITE].concat();
    let entitled = issue(launch, &both);
    let claims = entitled.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let other_key: String = KEY.chars().rev().collect();
    let forged = issue(&launch.clone().env("JWT_SECRET_KEY", &other_key), &both);
    let foreign = issue(&launch.clone().env("JWT_AUDIENCE", "elsewhere"), &both);
    let named = [
        ("token-entitled", entitled),
        ("token-unsigned", unsigned),
        ("token-forged", forged),
        ("token-foreign", foreign),
        ("token-reader", issue(launch, READ)),
        ("token-writer", issue(launch, &[WRITE, &["--subject", "writer"]].concat())),
        ("token-scopeless", issue(launch, &[])),
    ];
    named.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}

/// Starts users on an empty store and walks through all tables.
async fn walk(production: bool, kept: Kept) {
    let launch = if production { serve(&["users"]).env("RATE_LIMIT", "0") } else { Launch::up() };
    let mut launch = launch.env("JWT_SECRET_KEY", KEY);
    if kept == Kept::InPostgres {
        let Some(url) = database(if production { "production" } else { "development" }) else { return };
        launch = launch.env("DATABASE_URL", &url);
    }
    let known = tokens(&launch);
    let mut walk = Walk { system: launch.start().await, production, known };
    let tables: [(&str, Vec<Row>); 12] = [
        ("create and list", users::create_and_list()),
        ("count", accounts::count()),
        ("read and change", users::read_and_change()),
        ("conditions and deletion", users::conditions_and_deletion()),
        ("bounds", users::bounds()),
        ("keys", users::keys()),
        ("register and log in", accounts::register_and_log_in()),
        ("mistakes of accounts", accounts::mistakes()),
        ("profile", accounts::profile()),
        ("public routes", access::public()),
        ("guarded routes", access::guarded()),
        ("the other header", access::in_the_other_header()),
    ];
    for (name, rows) in tables {
        walk.go(name, rows).await;
    }
    refuses_what_is_in_flight(&walk).await;
}

/// Of requests with one key at once, those that come while another is worked on are 409. How many those are is the
/// machine's affair.
async fn refuses_what_is_in_flight(walk: &Walk) {
    for round in 0..20 {
        let row = register(&format!("flight-{round}"), &format!("flight-{round}@example.com"), PASSWORD);
        let row = row.with("idempotency-key", &format!("flight-{round}"));
        let answers = join_all((0..4).map(|_| Answer::of(walk.request(&row)))).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.contains(&200) && statuses.iter().all(|it| [200, 409].contains(it)), "{answers:?}");
        if statuses.contains(&409) {
            return;
        }
    }
    panic!("none of twenty requests was in flight when the same came again");
}

#[tokio::test]
async fn development_on_sqlite_answers_as_the_contract_has_it() {
    walk(false, Kept::InAFile).await;
}

#[tokio::test]
async fn development_on_postgresql_answers_as_the_contract_has_it() {
    walk(false, Kept::InPostgres).await;
}

#[tokio::test]
async fn production_on_sqlite_answers_as_the_contract_has_it() {
    walk(true, Kept::InAFile).await;
}

#[tokio::test]
async fn production_on_postgresql_answers_as_the_contract_has_it() {
    walk(true, Kept::InPostgres).await;
}
