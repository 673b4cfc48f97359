//! Sends the rows of a table one after the other, and says which were answered otherwise.
//!
//! A text `<kind-name>` in a row stands for a value: the first answer that has it gives it, and all after that must have
//! the same. Ids are UUIDs of version 7, times RFC 3339 in UTC, tokens three parts; `<time>` is any time.

use std::collections::HashMap;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::row::{Caller, Content, Expected, Row};
use crate::system::{Answer, System};

/// On everything, says section 2.4.
const ON_EVERYTHING: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
];

/// A service under test, and what its answers gave.
pub(super) struct Walk {
    pub(super) system: System,
    pub(super) production: bool,
    pub(super) known: HashMap<String, String>,
}

impl Walk {
    /// Sends all rows.
    pub(super) async fn go(&mut self, table: &str, rows: Vec<Row>) {
        let (count, mut failures) = (rows.len(), Vec::new());
        for (number, row) in rows.into_iter().enumerate() {
            let answer = Answer::of(self.request(&row)).await;
            if let Err(failure) = self.check(&row, &answer) {
                let Row { caller, method, path, body, .. } = &row;
                let body = body.as_ref().map(|body| body.chars().take(200).collect::<String>());
                failures.push(format!("row {number}, {method} {path} {body:?} by {caller:?}: {failure}: {answer:?}"));
            }
        }
        assert!(failures.is_empty(), "{table}: {} of {count} rows fail:\n{}", failures.len(), failures.join("\n"));
    }

    pub(super) fn request(&self, row: &Row) -> RequestBuilder {
        let url = format!("{}{}", self.system.url("users"), self.fill(&row.path));
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
        self.known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value))
    }

    fn check(&mut self, row: &Row, answer: &Answer) -> Result<(), String> {
        let Row { expected, in_development, .. } = row;
        let expected = in_development.as_ref().filter(|_| !self.production).unwrap_or(expected);
        same("status", &json!(expected.status), &json!(answer.status))?;
        self.check_content(row, &expected.content, answer)?;
        self.check_headers(expected, answer)
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
        for (name, value) in &expected.headers {
            same(name, &json!(self.fill(value)), &json!(answer.header(name)))?;
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
        let has_texts = ["type", "title", "detail"].iter().all(|member| problem[member].is_string());
        if has_texts { Ok(()) } else { Err("a member of the problem is missing".into()) }
    }

    fn matches(&mut self, place: &str, pattern: &Value, found: &Value) -> Result<(), String> {
        match (pattern, found) {
            (Value::Object(patterns), Value::Object(members)) => {
                same(place, &json!(names(pattern)), &json!(names(found)))?;
                patterns.iter().try_for_each(|(name, it)| self.matches(&format!("{place}.{name}"), it, &members[name]))
            }
            (Value::Array(patterns), Value::Array(items)) => {
                same(&format!("length of {place}"), &json!(patterns.len()), &json!(items.len()))?;
                let mut pairs = patterns.iter().zip(items).enumerate();
                pairs.try_for_each(|(index, (it, item))| self.matches(&format!("{place}[{index}]"), it, item))
            }
            (Value::String(text), Value::String(found)) => match value_name(text) {
                Some(name) => self.learn(place, name, found),
                None => same(place, pattern, &json!(found)),
            },
            _ => same(place, pattern, found),
        }
    }

    fn learn(&mut self, place: &str, name: &str, found: &str) -> Result<(), String> {
        if let Some(known) = self.known.get(name) {
            return same(place, &json!(known), &json!(found));
        }
        let is_right = match name.split('-').next() {
            Some("id") => found.parse::<::users::model::UserId>().is_ok_and(|id| id.0.get_version_num() == 7),
            Some("time") => found.ends_with('Z') && found.parse::<jiff::Timestamp>().is_ok(),
            Some("token") => found.split('.').filter(|part| !part.is_empty()).count() == 3,
            kind => panic!("{kind:?} is no kind of value"),
        };
        if name != "time" {
            self.known.insert(name.to_owned(), found.to_owned());
        }
        if is_right { Ok(()) } else { Err(format!("{place}: {found} is no {name}")) }
    }
}

fn value_name(text: &str) -> Option<&str> {
    text.strip_prefix('<')?.strip_suffix('>')
}

fn names(object: &Value) -> Vec<&String> {
    object.as_object().into_iter().flat_map(|members| members.keys()).collect()
}

fn same(place: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{place}: expected {expected}, found {found}")) }
}
