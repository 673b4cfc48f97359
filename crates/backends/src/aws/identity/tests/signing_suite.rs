//! AWS's own signing test suite, through the code that signs proofs, with the settings of proofs.

use jiff::Timestamp;
use serde_json::Value;

use super::super::proof::{Request, sign_request};
use super::*;

/// Out of `signing_suite/`, which says where they come from.
macro_rules! cases {
    ($($name:literal),* $(,)?) => {
        [$(Case {
            name: $name,
            context: include_str!(concat!("signing_suite/", $name, "/context.json")),
            signed: include_str!(concat!("signing_suite/", $name, "/header-signed-request.txt")),
        }),*]
    };
}

const CASES: [Case; 13] = cases![
    "get-header-key-duplicate",
    "get-header-value-order",
    "get-header-value-trim",
    "get-unreserved",
    "get-vanilla-query-order-encoded",
    "get-vanilla-with-session-token",
    "post-header-key-case",
    "post-header-key-sort",
    "post-header-value-case",
    "post-sts-header-before",
    "post-vanilla",
    "post-x-www-form-urlencoded",
    "post-x-www-form-urlencoded-parameters",
];

/// What the signer adds by itself.
const ADDED: [&str; 4] = ["host", "x-amz-date", "x-amz-security-token", "authorization"];

struct Case {
    name: &'static str,
    context: &'static str,
    /// The request as it is to be sent.
    signed: &'static str,
}

impl Case {
    /// What is signed, and what is expected.
    fn run(&self) -> (String, &'static str) {
        let context: Value = serde_json::from_str(self.context).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (head, body) = self.signed.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let (method, path) = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap().split_once(' ').unwrap();
        let headers: Vec<_> = lines.map(|line| line.split_once(':').unwrap()).collect();
        let value = |name: &str| headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1;
        let url = format!("https://{}{path}", value("host"));
        let now: Timestamp = context["timestamp"].as_str().unwrap().parse().unwrap();
        let keys = &context["credentials"];
        let token = keys["token"].as_str().map(str::to_owned);
        let credentials =
            Credentials::new(text(&keys["access_key_id"]), text(&keys["secret_access_key"]), token, None, "tests");
        let (region, service) = (text(&context["region"]), text(&context["service"]));
        let request = Request { method, url, region: &region, service: &service, now, body: body.as_bytes() };
        let given = headers.iter().filter(|(name, _)| !ADDED.iter().any(|added| name.eq_ignore_ascii_case(added)));
        (sign_request(credentials, request, given.copied()).unwrap(), value("authorization"))
    }
}

#[test]
fn requests_of_the_suite_are_signed_as_aws_signs_them() {
    for case in CASES {
        let (signed, expected) = case.run();
        assert_eq!(signed, expected, "{}", case.name);
    }
}
