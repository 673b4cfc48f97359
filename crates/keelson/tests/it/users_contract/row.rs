//! Rows of a table: a request, who sends it, and what the contract answers.

use reqwest::Method;
use serde_json::Value;

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    /// Whoever may: in production the bearer of every scope of users, in development somebody without a token.
    Entitled,
    /// Somebody without a token.
    Nobody,
    /// The bearer of a token that is known by this name.
    Bearer(&'static str),
}

/// What an answer holds. Texts such as `<id-john>` stand for values: see [`super::walk`].
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// No byte.
    Nothing,
    /// Whatever it is.
    Anything,
    /// Exactly this.
    Json(Value),
    /// A problem, RFC 9457. Without a text where the contract has none.
    Problem(Option<&'static str>),
    /// `Validation failed`, and these places in this order.
    Wrong(Vec<Value>),
}

#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) content: Content,
    pub(super) headers: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) caller: Caller,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    /// As text, since some rows send what is no JSON.
    pub(super) body: Option<String>,
    pub(super) expected: Expected,
    /// Where development answers otherwise.
    pub(super) in_development: Option<Expected>,
}

pub(super) fn request(method: Method, path: impl Into<String>, body: Option<String>) -> Row {
    let expected = Expected { status: 0, content: Content::Anything, headers: Vec::new() };
    let (path, headers) = (path.into(), Vec::new());
    Row { caller: Caller::Entitled, method, path, headers, body, expected, in_development: None }
}

pub(super) fn get(path: impl Into<String>) -> Row {
    request(Method::GET, path, None)
}

pub(super) fn post(path: impl Into<String>, body: Value) -> Row {
    request(Method::POST, path, Some(body.to_string()))
}

pub(super) fn put(path: impl Into<String>, body: Value) -> Row {
    request(Method::PUT, path, Some(body.to_string()))
}

pub(super) fn delete(path: impl Into<String>) -> Row {
    request(Method::DELETE, path, None)
}

impl Expected {
    /// An answer with this status, and the text that the contract has for it.
    pub(super) fn of(status: u16, text: Option<&'static str>) -> Self {
        let content = if status < 400 { Content::Anything } else { Content::Problem(text) };
        Self { status, content, headers: Vec::new() }
    }
}

impl Row {
    pub(super) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The answer is exactly this.
    pub(super) fn is(self, status: u16, body: Value) -> Self {
        self.answers(status, Content::Json(body))
    }

    /// The answer has this status, and a body that other rows look at.
    pub(super) fn status(self, status: u16) -> Self {
        let Expected { content, .. } = Expected::of(status, None);
        self.answers(status, content)
    }

    pub(super) fn empty(self, status: u16) -> Self {
        self.answers(status, Content::Nothing)
    }

    pub(super) fn problem(self, status: u16, text: &'static str) -> Self {
        self.answers(status, Content::Problem(Some(text)))
    }

    /// 422 for these members of the body.
    pub(super) fn wrong(self, members: &[&str]) -> Self {
        let places = members.iter().map(|member| serde_json::json!(["body", member])).collect();
        self.answers(422, Content::Wrong(places))
    }

    /// 422 for this place.
    pub(super) fn wrong_at(self, place: Value) -> Self {
        self.answers(422, Content::Wrong(vec![place]))
    }

    fn answers(mut self, status: u16, content: Content) -> Self {
        (self.expected.status, self.expected.content) = (status, content);
        self
    }

    /// The answer has this header.
    pub(super) fn and(mut self, name: &'static str, value: &str) -> Self {
        self.expected.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn but_in_development(self, expected: Expected) -> Self {
        Self { in_development: Some(expected), ..self }
    }
}
