//! A server for all tests of this binary, with a database for each.

mod server;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

pub(crate) use server::Server;

/// The URL of an empty database; `None`, after saying so, where PostgreSQL is not installed.
pub(crate) async fn fresh_database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(Server::start).as_ref()?;
    Some(create_database(server).await)
}

/// The URL of an empty database in this server.
pub(crate) async fn create_database(server: &Server) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    execute(&server.url("postgres"), &format!("CREATE DATABASE {name}")).await;
    server.url(&name)
}

/// Runs statements over a connection of their own.
pub(crate) async fn execute(url: &str, statements: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A number that the database answers.
pub(crate) async fn number(url: &str, query: &'static str) -> i64 {
    let mut connection = connect(url).await;
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}
