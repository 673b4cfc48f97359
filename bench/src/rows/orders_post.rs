//! An order for a user whom another service knows: what the product needs of a core for each, against FastAPI and
//! httpx in the shape of seed 004.
//!
//! Both ask the same users, which are on the core of the load, and whose processor time does not count. The product is
//! as in production: it verifies the token of the user who orders, and answers when the order is on the disk. The peer
//! looks at no token and keeps orders in memory.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::get::CONNECTIONS;
use super::ingest::Settled;
use super::users_get::USER;
use crate::bench::{API_TOKEN, Bench};
use crate::load::{Target, once, post, post_as};
use crate::paired::{self, Contestant, Slice};
use crate::python::gunicorn;
use crate::report::Goal;
use crate::server::{Loaded, Server};

/// The product, twice.
const OURS: [&str; 2] = ["keelson-orders", "twin-orders"];
/// The peer with what the product's edge does, and without.
const FASTAPI: &str = "fastapi-orders";
const NO_EDGE: &str = "fastapi-orders, no edge";
const USERS: &str = "users-of-orders";
/// Connections of the peer to users: as many as httpx keeps by itself, and no more at once, so that none is made anew.
const PEER_CONNECTIONS: &str = "20";
const ORDERS: &str = "/api/v1/orders";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let outcome = measure(bench);
    for name in OURS.into_iter().chain([USERS]) {
        bench.fresh(name)?;
    }
    outcome
}

fn measure(bench: &mut Bench) -> Result<()> {
    let (_users, users) = users(bench)?;
    let user = create_user(users)?;
    let request = post_as(Some(&bench.token(&user, &[])?), ORDERS, &order(&user));
    let mut contestants = Vec::new();
    for name in OURS {
        let (server, address) = product(bench, name, users)?;
        contestants.push(loaded(server, address, &request)?);
    }
    let ours = answer(contestants[0].0.target.address, &request)?;
    for (name, edge) in [(FASTAPI, "on"), (NO_EDGE, "off")] {
        let env = [("USER_SERVICE_URL", url(users)), ("CONNECTIONS", PEER_CONNECTIONS.into()), ("EDGE", edge.into())]
            .map(|(name, value): (&str, String)| (name.to_owned(), value));
        let peer = gunicorn(bench, name, "fastapi_orders", "gunicorn.conf.py", &env)?;
        let Some((launch, address)) = peer else { continue };
        contestants.push(loaded(launch.start()?, address, &request)?);
        let theirs = answer(address, &request)?;
        ensure!(ours == theirs, "{name} answers {theirs:?}, and the product {ours:?}");
    }
    let has_fastapi = contestants.len() > OURS.len();

    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("order", &mut bench.report);
    let cpu = Slice::cpu_each;
    if !rounds.check_null(OURS, "CPU", cpu, &mut bench.report)? {
        return Ok(());
    }
    if has_fastapi {
        let [fastapi, no_edge] = [FASTAPI, NO_EDGE].map(|peer| rounds.ratio(peer, OURS[0], cpu));
        let what = "CPU of FastAPI and httpx, orders in memory, by ours on the disk";
        bench.report.judged(what, fastapi.median, fastapi, Goal::AtLeast(50.0, None));
        bench.report.info("the same without log, metrics, ids and rate limit in FastAPI alone", no_edge);
    }
    Ok(())
}

/// In development mode, so that the peer needs no token, and without a log, which nobody would empty.
fn users(bench: &Bench) -> Result<(Server, SocketAddr)> {
    bench.fresh(USERS)?;
    let users = bench.serve(USERS, "users")?.env("PRODUCTION", "false").env("LOG_LEVEL", "CRITICAL");
    let mut users = users.env("JWT_SECRET_KEY", API_TOKEN);
    users.launch.cores = bench.cores.load.to_string();
    Ok((users.start()?, users.public))
}

/// Answers the id of a new user.
fn create_user(users: SocketAddr) -> Result<String> {
    let created = once::ask(users, &post("/api/v1/users", USER))?;
    ensure!(created.status == 201, "a user was answered {}: {}", created.status, created.text());
    let user: Value = serde_json::from_slice(&created.body)?;
    Ok(user["id"].as_str().context("a new user without an id")?.to_owned())
}

fn product(bench: &Bench, name: &str, users: SocketAddr) -> Result<(Server, SocketAddr)> {
    bench.fresh(name)?;
    let product = bench.serve(name, "orders")?.env("JWT_SECRET_KEY", API_TOKEN).env("USER_SERVICE_URL", &url(users));
    Ok((product.start()?, product.public))
}

fn loaded(server: Server, address: SocketAddr, request: &[u8]) -> Result<Settled> {
    let target = Target::creating(address, request.to_vec())?;
    Ok(Settled(Loaded { server, target, connections: CONNECTIONS }))
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Seed 004's example.
fn order(user: &str) -> String {
    let item = json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 });
    json!({ "user_id": user, "items": [item], "shipping_address": "123 Main St, City, Country" }).to_string()
}

/// The answer, without what is another one each time, which must be there.
fn answer(address: SocketAddr, request: &[u8]) -> Result<Map<String, Value>> {
    let mut answer: Map<String, Value> = serde_json::from_slice(&once::ask(address, request)?.body)?;
    for field in ["id", "created_at", "updated_at"] {
        let value = answer.remove(field).with_context(|| format!("an order without {field}"))?;
        let text = value.as_str().with_context(|| format!("{field} is no text"))?;
        if field != "id" {
            let _time: Timestamp = text.parse().with_context(|| format!("{field} is no time"))?;
        }
    }
    Ok(answer)
}
