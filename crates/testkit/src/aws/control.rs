//! `/_fake/…`: faults and counters for scripts in other processes. Not counted as calls. The table is in `mod.rs`.

use std::time::Duration;

use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::World;
use super::faults::{Fault, FaultId};
use super::reply::{Response, respond};

/// Where the control endpoint begins.
pub(crate) const PREFIX: &str = "/_fake/";

pub(crate) fn answer(world: &World, parts: &Parts, body: &[u8]) -> Response {
    let query = parts.uri.query().unwrap_or_default();
    let asks = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(found, on)| found == name && on == "true");
    let path: Vec<_> = parts.uri.path().trim_start_matches(PREFIX).split('/').collect();
    let answer = match (&parts.method, path.as_slice()) {
        (&Method::POST, ["faults"]) => inject(world, body),
        (&Method::DELETE, ["faults"]) => {
            world.faults.heal_all();
            Ok(json!({}))
        }
        (&Method::DELETE, ["faults", id]) => with_id(id, |id| json!({"healed": world.faults.heal(id)})),
        (&Method::GET, ["faults", id]) => with_id(id, |id| json!({"struck": world.faults.struck(id)})),
        (&Method::GET, ["calls"]) => Ok(calls(world, asks("log"))),
        (&Method::POST, ["reset"]) => {
            world.reset(asks("state"));
            Ok(json!({}))
        }
        (&Method::POST, ["advance"]) => advance(world, query),
        _ => Err(format!("there is no {} {}", parts.method, parts.uri.path())),
    };
    match answer {
        Ok(value) => respond(StatusCode::OK, "application/json", value.to_string()),
        Err(error) => respond(StatusCode::BAD_REQUEST, "application/json", json!({"error": error}).to_string()),
    }
}

fn inject(world: &World, body: &[u8]) -> Result<Value, String> {
    let faults = Fault::parse_all(body)?;
    let ids: Vec<_> = faults.into_iter().map(|fault| world.faults.inject(fault).0).collect();
    Ok(json!({"ids": ids}))
}

fn with_id(id: &str, answer: impl Fn(FaultId) -> Value) -> Result<Value, String> {
    id.parse().map(|id| answer(FaultId(id))).map_err(|_| format!("{id} is no id of a fault"))
}

fn calls(world: &World, with_log: bool) -> Value {
    let mut answer = json!(world.log.counts());
    if with_log {
        answer["log"] = json!(world.log.calls());
    }
    answer
}

fn advance(world: &World, query: &str) -> Result<Value, String> {
    let millis = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "millis");
    let millis = millis.and_then(|(_, value)| value.parse().ok()).ok_or("advance needs millis")?;
    world.advance(Duration::from_millis(millis));
    Ok(json!({}))
}
