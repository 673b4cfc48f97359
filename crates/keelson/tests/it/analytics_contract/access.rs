//! Section 2.4, the access table: every kind of caller at both routes, in production and in development.

use super::events::{STATS, event};
use crate::contract::access::{self, answer};
use crate::contract::row::{Caller, Row, get};

/// Events have no owner, so nothing is hidden from anybody.
const NOTHING: &str = "Not Found";

/// Somebody, and the status of a new event and of statistics.
struct Line {
    caller: Caller,
    production: [u16; 2],
    development: [u16; 2],
}

fn lines() -> Vec<Line> {
    let never = |name| Line { caller: Caller::Bearer(name), production: [401; 2], development: [401; 2] };
    let line = |caller, production| Line { caller, production, development: [200; 2] };
    vec![
        never("token-unsigned"),
        never("token-forged"),
        never("token-foreign"),
        line(Caller::Nobody, [401, 401]),
        line(Caller::Bearer("token-scopeless"), [403, 403]),
        line(Caller::Bearer("token-reader"), [403, 200]),
        line(Caller::Bearer("token-writer"), [200, 403]),
        line(Caller::Bearer("token-entitled"), [200, 200]),
    ]
}

/// Every kind of caller at every route.
pub(super) fn guarded() -> Vec<Row> {
    let mut rows = Vec::new();
    for Line { caller, production, development } in lines() {
        for (place, row) in [event("custom", "guarded"), get(STATS)].into_iter().enumerate() {
            let row = Row { expected: answer(production[place], caller, NOTHING), ..row.by(caller) };
            rows.push(row.but_in_development(answer(development[place], caller, NOTHING)));
        }
    }
    rows
}

pub(super) fn in_the_other_header() -> Vec<Row> {
    access::in_the_other_header(STATS, 403, NOTHING)
}
