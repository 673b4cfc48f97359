//! Section 2.4, what the access table says of every service.

use super::row::{Caller, Expected, Row, get};

const MISSING: &str = "Access token is missing";
const BAD: &str = "Invalid or expired token";

/// Who may see what without a token, in both modes; and what belongs to operators.
pub(crate) fn public(of_the_service: &[&str]) -> Vec<Row> {
    let everywhere = ["/", "/health", "/health/live", "/health/ready", "/ready", "/docs", "/openapi.json"];
    let open = everywhere.iter().chain(of_the_service);
    let mut rows: Vec<Row> = open.map(|path| get(*path).by(Caller::Nobody).status(200)).collect();
    // In production they are on the listener of operators.
    for path in ["/metrics", "/status", "/services"] {
        let here = get(path).problem(404, "Not Found").but_in_development(Expected::of(200, None));
        rows.push(here);
    }
    rows
}

/// What the contract answers with a status; it has no text for a missing scope.
pub(crate) fn answer(status: u16, caller: Caller, not_found: &'static str) -> Expected {
    let text = match (status, caller) {
        (401, Caller::Nobody) => Some(MISSING),
        (401, _) => Some(BAD),
        (404, _) => Some(not_found),
        _ => None,
    };
    Expected::of(status, text)
}

/// The header of seed 003 in place of `Authorization`: for what whoever has no scope is refused with this status.
pub(crate) fn in_the_other_header(path: &str, without_scope: u16, not_found: &'static str) -> Vec<Row> {
    let ask = |token: &str| get(path).by(Caller::Nobody).with("x-access-token", token);
    let refused = answer(without_scope, Caller::Bearer("token-scopeless"), not_found);
    vec![
        ask("<token-reader>").status(200),
        Row { expected: refused, ..ask("<token-scopeless>") }.but_in_development(Expected::of(200, None)),
        ask("<token-forged>").problem(401, BAD),
        ask("nonsense").problem(401, BAD),
    ]
}
