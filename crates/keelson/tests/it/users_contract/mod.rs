//! Users against the wire contract: each row of its section 5 and of the access table, section 2.4, asked of the real
//! binary in both modes on both databases.

mod access;
mod accounts;
mod users;

use crate::contract::people::{PASSWORD, register};
use crate::contract::place::{Kept, launch, tokens};
use crate::contract::row::Row;
use crate::contract::walk::Walk;

/// Starts users on an empty store and walks through all tables.
async fn walk(production: bool, kept: Kept) {
    let name = if production { "users_in_production" } else { "users_in_development" };
    let Some(launch) = kept.launch(launch(production, &["users"]), "DATABASE_URL", name) else { return };
    let known = tokens(&launch, "users", &[]);
    let mut walk = Walk { system: launch.start().await, service: "users", production, known };
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
    let account = |round: usize| register(&format!("flight-{round}"), &format!("flight-{round}@example.com"), PASSWORD);
    walk.refuses_what_is_in_flight(200, account).await;
}

#[tokio::test]
async fn development_on_sqlite_answers_as_the_contract_has_it() {
    walk(false, Kept::File).await;
}

#[tokio::test]
async fn development_on_postgresql_answers_as_the_contract_has_it() {
    walk(false, Kept::Postgres).await;
}

#[tokio::test]
async fn production_on_sqlite_answers_as_the_contract_has_it() {
    walk(true, Kept::File).await;
}

#[tokio::test]
async fn production_on_postgresql_answers_as_the_contract_has_it() {
    walk(true, Kept::Postgres).await;
}
