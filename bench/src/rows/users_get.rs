//! A user by its id, from PostgreSQL: what the product needs of a core for each, against FastAPI with SQLAlchemy and
//! asyncpg on the same row of the same table.
//!
//! In development mode, so that no token is asked; the peer asks for none. PostgreSQL is on the core of the load, and its
//! processor time does not count.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use super::get::CONNECTIONS;
use crate::bench::{API_TOKEN, Bench};
use crate::load::{Target, get, once, post};
use crate::paired::{self, Contestant, Slice};
use crate::postgres::Postgres;
use crate::python::gunicorn;
use crate::report::Goal;
use crate::server::{Loaded, Server};

/// The peer with what the product's edge does, and without.
const FASTAPI: &str = "fastapi-users";
const NO_EDGE: &str = "fastapi-users, no edge";
/// Connections of the peer to PostgreSQL, SQLAlchemy's default. Of 1, 2, 3, 5, 8, 16 and 64, those up to 8 needed about the
/// same for a request, and 16 and 64 more.
const POOL_SIZE: &str = "5";
pub(super) const USER: &str = r#"{"name":"John Doe","email":"john.doe@example.com","age":30}"#;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let Some(postgres) = Postgres::start(bench) else { return Ok(()) };
    let url = postgres.create_database("users")?;
    let (server, address) = start(bench, "keelson-users", &url)?;
    let path = create(address)?;
    let mut contestants = vec![loaded(server, address, &path)?];
    let (twin, twin_address) = start(bench, "twin-users", &url)?;
    contestants.push(loaded(twin, twin_address, &path)?);
    for (name, edge) in [(FASTAPI, "on"), (NO_EDGE, "off")] {
        let env = [("DATABASE_URL", url.as_str()), ("POOL_SIZE", POOL_SIZE), ("EDGE", edge)]
            .map(|(name, value)| (name.into(), value.into()));
        let Some((launch, peer)) = gunicorn(bench, name, "fastapi_users", "gunicorn.conf.py", &env)? else { continue };
        contestants.push(loaded(launch.start()?, peer, &path)?);
        let [ours, theirs] = [answer(address, &path)?, answer(peer, &path)?];
        ensure!(ours == theirs, "{name} answers {theirs}, and the product {ours}");
    }
    let has_fastapi = contestants.len() > 2;

    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("request", &mut bench.report);
    let cpu = Slice::cpu_each;
    if !rounds.check_null(["keelson-users", "twin-users"], "CPU", cpu, &mut bench.report)? {
        return Ok(());
    }
    if has_fastapi {
        let [fastapi, no_edge] = [FASTAPI, NO_EDGE].map(|peer| rounds.ratio(peer, "keelson-users", cpu));
        let what = "CPU of FastAPI, SQLAlchemy and asyncpg by ours";
        bench.report.judged(what, fastapi.median, fastapi, Goal::AtLeast(20.0, Some(50.0)));
        bench.report.info("the same without log, metrics, ids and rate limit in FastAPI alone", no_edge);
    }
    Ok(())
}

fn start(bench: &Bench, name: &str, url: &str) -> Result<(Server, SocketAddr)> {
    bench.fresh(name)?;
    let product = bench.serve(name, "users")?.env("PRODUCTION", "false").env("JWT_SECRET_KEY", API_TOKEN);
    let product = product.env("DATABASE_URL", url);
    Ok((product.start()?, product.public))
}

fn loaded(server: Server, address: SocketAddr, path: &str) -> Result<Loaded> {
    Ok(Loaded { server, target: Target::new(address, get(path, None))?, connections: CONNECTIONS })
}

/// Answers the path of a new user.
fn create(address: SocketAddr) -> Result<String> {
    let created = once::ask(address, &post("/api/v1/users", USER))?;
    ensure!(created.status == 201, "a user was answered {}: {}", created.status, created.text());
    let location = created.headers.into_iter().find(|(name, _)| name == "location");
    Ok(location.context("a new user without a location")?.1)
}

/// The answer, with times that may be spelled in two ways as one.
fn answer(address: SocketAddr, path: &str) -> Result<Value> {
    let mut answer: Value = serde_json::from_slice(&once::ask(address, &get(path, None))?.body)?;
    for field in ["created_at", "updated_at"] {
        let time: Timestamp = answer[field].as_str().context("a user without a time")?.parse()?;
        answer[field] = time.as_microsecond().into();
    }
    Ok(answer)
}
