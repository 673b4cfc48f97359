//! Sends the rows of a table one after the other, and says which were answered otherwise.
//!
//! A text `<kind-name>` in a row stands for a value: see [`super::values`].

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::time::sleep;

use super::row::{Caller, Content, Expected, Row};
use super::values::same;
use crate::launch::Launch;
use crate::system::{Answer, System};

/// How long what travels between services may take, with the lease of a relay that was killed.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// On everything, says section 2.4.
const ON_EVERYTHING: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
];

/// A service under test, and what its answers gave.
pub(crate) struct Walk {
    pub(crate) system: System,
    /// By its short name.
    pub(crate) service: &'static str,
    pub(crate) production: bool,
    pub(crate) known: HashMap<String, String>,
}

impl Walk {
    /// Kills the system, and starts it in another way on what it has kept.
    pub(crate) async fn start_again(self, launch: &Launch) -> Self {
        let Self { system, service, production, known } = self;
        drop(system);
        Self { system: launch.start().await, service, production, known }
    }

    /// Sends all rows.
    pub(crate) async fn go(&mut self, table: &str, rows: Vec<Row>) {
        let (count, mut failures) = (rows.len(), Vec::new());
        for (number, row) in rows.into_iter().enumerate() {
            let (checked, answer) = self.ask(&row).await;
            if let Err(failure) = checked {
                let Row { caller, method, path, body, .. } = &row;
                let body = body.as_ref().map(|body| body.chars().take(200).collect::<String>());
                failures.push(format!("row {number}, {method} {path} {body:?} by {caller:?}: {failure}: {answer:?}"));
            }
        }
        assert!(failures.is_empty(), "{table}: {} of {count} rows fail:\n{}", failures.len(), failures.join("\n"));
    }

    /// Of requests with one key at once, those that come while another is worked on are 409. How many those are is the
    /// machine's affair, so each round has a key and a request of its own.
    pub(crate) async fn refuses_what_is_in_flight(&self, done: u16, row: impl Fn(usize) -> Row) {
        for round in 0..20 {
            let row = row(round).with("idempotency-key", &format!("flight-{round}"));
            let answers = join_all((0..4).map(|_| Answer::of(self.request(&row)))).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert!(statuses.contains(&done) && statuses.iter().all(|it| [done, 409].contains(it)), "{answers:?}");
            if statuses.contains(&409) {
                return;
            }
        }
        panic!("none of twenty requests was in flight when the same came again");
    }

    /// Sends a row, and again while its answer may come to be the expected one.
    async fn ask(&mut self, row: &Row) -> (Result<(), String>, Answer) {
        let begun = Instant::now();
        loop {
            let answer = Answer::of(self.request(row)).await;
            let checked = self.check(row, &answer);
            if checked.is_ok() || !row.comes_in_time || begun.elapsed() > PATIENCE {
                return (checked, answer);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    fn request(&self, row: &Row) -> RequestBuilder {
        let service = row.service.unwrap_or(self.service);
        let url = format!("{}{}", self.system.url(service), self.fill(&row.path));
        let mut request = self.system.http.request(row.method.clone(), url);
        let token = match row.caller {
            Caller::Entitled => self.production.then_some("token-entitled"),
            Caller::Nobody => None,
            Caller::Bearer(name) => Some(name),
        };
        if let Some(token) = token {
            request = request.bearer_auth(&self.known[token]);
        }
        for (name, value) in &row.headers {
            request = request.header(*name, self.fill(value));
        }
        match &row.body {
            Some(body) => request.header("content-type", "application/json").body(self.fill(body)),
            None => request,
        }
    }

    /// With the values that are known in place of their names.
    fn fill(&self, text: &str) -> String {
        // Some bodies are megabytes, and many values are known.
        if !text.contains('<') {
            return text.to_owned();
        }
        self.known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value))
    }

    fn check(&mut self, row: &Row, answer: &Answer) -> Result<(), String> {
        let Row { expected, in_development, .. } = row;
        let expected = in_development.as_ref().filter(|_| !self.production).unwrap_or(expected);
        same("status", &json!(expected.status), &json!(answer.status))?;
        self.check_content(row, &expected.content, answer)?;
        self.check_headers(expected, answer)?;
        for text in &expected.texts {
            if !answer.text.contains(text) {
                return Err(format!("it does not have the text {text}"));
            }
        }
        match expected.within {
            Some(time) if answer.process_time() > time => Err(format!("it took longer than {time:?}")),
            _ => Ok(()),
        }
    }

    fn check_content(&mut self, row: &Row, content: &Content, answer: &Answer) -> Result<(), String> {
        match content {
            Content::Anything => Ok(()),
            Content::Nothing => same("body", &json!(""), &json!(answer.text)),
            Content::Json(pattern) => {
                same("content type", &json!("application/json"), &json!(answer.header("content-type")))?;
                self.matches("", pattern, &answer.json())
            }
            Content::Problem(text) => self.check_problem(row, *text, answer),
            Content::Naming(names) => {
                self.check_problem(row, None, answer)?;
                let detail = answer.json()["detail"].clone();
                let names_all = names.iter().all(|name| detail.as_str().is_some_and(|detail| detail.contains(name)));
                if names_all { Ok(()) } else { Err(format!("{detail} does not name {names:?}")) }
            }
            Content::Wrong(places) => {
                self.check_problem(row, Some("Validation failed"), answer)?;
                let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
                let found: Vec<_> = errors.iter().map(|error| error["loc"].clone()).collect();
                let texts = errors.iter().all(|error| error["msg"].is_string() && error["type"].is_string());
                same("places", &json!([places, true]), &json!([found, texts]))
            }
        }
    }

    fn check_headers(&self, expected: &Expected, answer: &Answer) -> Result<(), String> {
        for (name, value) in ON_EVERYTHING {
            same(name, &json!(value), &json!(answer.header(name)))?;
        }
        if answer.header("x-correlation-id").is_empty() || answer.header("x-process-time").parse::<f64>().is_err() {
            return Err("it has no correlation id or no time".into());
        }
        if expected.status == 401 {
            same("www-authenticate", &json!("Bearer"), &json!(answer.header("www-authenticate")))?;
        }
        if expected.status == 503 && answer.header("retry-after").parse::<u64>().is_err() {
            return Err("it does not say when to try again".into());
        }
        for (name, value) in &expected.headers {
            let (expected, found) = (self.fill(value), answer.header(name));
            match *name {
                // The order of methods means nothing.
                "allow" => same(name, &json!(methods(&expected)), &json!(methods(found)))?,
                _ => same(name, &json!(expected), &json!(found))?,
            }
        }
        Ok(())
    }

    fn check_problem(&self, row: &Row, text: Option<&str>, answer: &Answer) -> Result<(), String> {
        same("content type", &json!("application/problem+json"), &json!(answer.header("content-type")))?;
        let problem = answer.json();
        if let Some(text) = text {
            same("detail", &json!(text), &problem["detail"])?;
        }
        let path = self.fill(&row.path);
        let path = path.split('?').next();
        same("status", &json!(answer.status), &problem["status"])?;
        same("instance", &json!(path), &problem["instance"])?;
        same("correlation id", &json!(answer.header("x-correlation-id")), &problem["correlation_id"])?;
        if answer.status >= 500 && answer.text.contains("127.0.0.1") {
            return Err("it shows where something is".into());
        }
        let has_texts = ["type", "title", "detail"].iter().all(|member| problem[member].is_string());
        if has_texts { Ok(()) } else { Err("a member of the problem is missing".into()) }
    }
}

fn methods(list: &str) -> BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}
