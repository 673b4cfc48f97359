//! Rows of a table: a request, who sends it, and what the contract answers.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    /// Whoever may: in production the bearer of every scope that rows need, in development somebody without a token.
    Entitled,
    /// Somebody without a token.
    Nobody,
    /// The bearer of a token that is known by this name.
    Bearer(&'static str),
}

/// What an answer holds. Texts such as `<id-john>` stand for values: see [`super::values`].
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// No byte.
    Nothing,
    /// Whatever it is.
    Anything,
    /// Exactly this.
    Json(Value),
    /// A problem, RFC 9457. Without a text where the contract has none.
    Problem(Option<&'static str>),
    /// A problem whose text names these.
    Naming(Vec<&'static str>),
    /// `Validation failed`, and these places in this order.
    Wrong(Vec<Value>),
}

#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) content: Content,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What the body holds, to the letter: of numbers JSON does not say how they are read.
    pub(crate) texts: Vec<&'static str>,
    /// How long the service may work on it.
    pub(crate) within: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// By its short name; `None` is the one that the table is about.
    pub(crate) service: Option<&'static str>,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// As text, since some rows send what is no JSON.
    pub(crate) body: Option<String>,
    pub(crate) expected: Expected,
    /// Where development answers otherwise.
    pub(crate) in_development: Option<Expected>,
    /// The answer may be another one for a while: it is about what travels between services.
    pub(crate) comes_in_time: bool,
}

pub(crate) fn request(method: Method, path: impl Into<String>, body: Option<String>) -> Row {
    Row {
        service: None,
        caller: Caller::Entitled,
        method,
        path: path.into(),
        headers: Vec::new(),
        body,
        expected: Expected::new(0, Content::Anything),
        in_development: None,
        comes_in_time: false,
    }
}

pub(crate) fn get(path: impl Into<String>) -> Row {
    request(Method::GET, path, None)
}

pub(crate) fn post(path: impl Into<String>, body: Value) -> Row {
    request(Method::POST, path, Some(body.to_string()))
}

pub(crate) fn put(path: impl Into<String>, body: Value) -> Row {
    request(Method::PUT, path, Some(body.to_string()))
}

pub(crate) fn delete(path: impl Into<String>) -> Row {
    request(Method::DELETE, path, None)
}

impl Expected {
    fn new(status: u16, content: Content) -> Self {
        Self { status, content, headers: Vec::new(), texts: Vec::new(), within: None }
    }

    /// An answer with this status, and the text that the contract has for it.
    pub(crate) fn of(status: u16, text: Option<&'static str>) -> Self {
        Self::new(status, if status < 400 { Content::Anything } else { Content::Problem(text) })
    }
}

impl Row {
    /// Sends it to another service of the system.
    pub(crate) fn at(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }

    pub(crate) fn by(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The answer is exactly this.
    pub(crate) fn is(self, status: u16, body: Value) -> Self {
        self.answers(status, Content::Json(body))
    }

    /// The answer has this status, and a body that other rows look at.
    pub(crate) fn status(self, status: u16) -> Self {
        let Expected { content, .. } = Expected::of(status, None);
        self.answers(status, content)
    }

    pub(crate) fn empty(self, status: u16) -> Self {
        self.answers(status, Content::Nothing)
    }

    pub(crate) fn problem(self, status: u16, text: &'static str) -> Self {
        self.answers(status, Content::Problem(Some(text)))
    }

    /// A problem whose text names these.
    pub(crate) fn naming(self, status: u16, names: &[&'static str]) -> Self {
        self.answers(status, Content::Naming(names.to_vec()))
    }

    /// 422 for these members of the body.
    pub(crate) fn wrong(self, members: &[&str]) -> Self {
        self.wrong_places(members.iter().map(|member| serde_json::json!(["body", member])).collect())
    }

    /// 422 for this place.
    pub(crate) fn wrong_at(self, place: Value) -> Self {
        self.wrong_places(vec![place])
    }

    /// 422 for these places.
    pub(crate) fn wrong_places(self, places: Vec<Value>) -> Self {
        self.answers(422, Content::Wrong(places))
    }

    fn answers(mut self, status: u16, content: Content) -> Self {
        (self.expected.status, self.expected.content) = (status, content);
        self
    }

    /// The answer has this header.
    pub(crate) fn and(mut self, name: &'static str, value: &str) -> Self {
        self.expected.headers.push((name, value.to_owned()));
        self
    }

    /// The body holds this text.
    pub(crate) fn has(mut self, text: &'static str) -> Self {
        self.expected.texts.push(text);
        self
    }

    /// The service has worked on it no longer than this.
    pub(crate) fn within(mut self, time: Duration) -> Self {
        self.expected.within = Some(time);
        self
    }

    /// The answer comes to be the expected one.
    pub(crate) fn in_time(self) -> Self {
        Self { comes_in_time: true, ..self }
    }

    pub(crate) fn but_in_development(self, expected: Expected) -> Self {
        Self { in_development: Some(expected), ..self }
    }
}
