//! Faults as JSON, for scripts in other processes.

use std::time::Duration;

use serde::Deserialize;

use super::{Effect, Entries, Fault, is_action};
use crate::aws::service::Service;

/// One flat object. Unknown fields are refused: a misspelt `times` would strike for ever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    effect: String,
    status: Option<u16>,
    code: Option<String>,
    millis: Option<u64>,
    sender_fault: Option<bool>,
    first: Option<usize>,
    each: Option<f64>,
    service: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    after: Option<u64>,
    times: Option<u64>,
    chance: Option<f64>,
}

impl Fault {
    /// One fault, or an array of them.
    pub(crate) fn parse_all(json: &[u8]) -> Result<Vec<Self>, String> {
        let is_array = json.trim_ascii_start().starts_with(b"[");
        let wires = if is_array {
            serde_json::from_slice::<Vec<Wire>>(json)
        } else {
            serde_json::from_slice::<Wire>(json).map(|one| vec![one])
        };
        wires.map_err(|error| error.to_string())?.into_iter().map(Self::from_wire).collect()
    }

    fn from_wire(wire: Wire) -> Result<Self, String> {
        if let Some(action) = wire.action.as_ref().filter(|action| !is_action(action)) {
            return Err(format!("the fake knows no action {action}"));
        }
        let service = match &wire.service {
            Some(name) => Some(Service::by_name(name).ok_or_else(|| format!("the fake knows no service {name}"))?),
            None => None,
        };
        let chance = probability(wire.chance.unwrap_or(1.0))?;
        let effect = effect(&wire)?;
        let Wire { action, resource, after, times, .. } = wire;
        Ok(Self { effect, service, action, resource, after: after.unwrap_or(0), times, chance })
    }
}

fn effect(wire: &Wire) -> Result<Effect, String> {
    let missing = |field: &str| format!("{} needs {field}", wire.effect);
    let code = || wire.code.clone().ok_or_else(|| missing("code"));
    let duration = || wire.millis.map(Duration::from_millis).ok_or_else(|| missing("millis"));
    Ok(match wire.effect.as_str() {
        "throttle" => Effect::Throttle,
        "error" => Effect::Error { status: wire.status.ok_or_else(|| missing("status"))?, code: code()? },
        "stall" => Effect::Stall(duration()?),
        "late-answer" => Effect::LateAnswer(duration()?),
        "no-answer" => Effect::NoAnswer,
        "drop" => Effect::Drop,
        "fail-entries" => {
            let entries = match (wire.first, wire.each) {
                (Some(count), _) => Entries::First(count),
                (None, Some(chance)) => Entries::Each(probability(chance)?),
                (None, None) => Entries::All,
            };
            Effect::FailEntries { code: code()?, sender_fault: wire.sender_fault.unwrap_or(false), entries }
        }
        "deliver-twice" => Effect::DeliverTwice,
        "reorder" => Effect::Reorder,
        "forget-delete" => Effect::ForgetDelete,
        other => return Err(format!("there is no effect {other}")),
    })
}

fn probability(value: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("{value} is no probability")) }
}
