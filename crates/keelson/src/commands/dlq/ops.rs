//! `/ops/v1` of the archiver, as a command calls it.

use async_trait::async_trait;
use chassis::config::Layers;
use chassis::ports::{DeadLetter, DeadLetterSummary, DeadLetters};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::letters::Letters;
use crate::commands::http_client::{client_of, no_answer};
use crate::failure::Failure;

/// Where the operators' routes are, and who may use them.
#[derive(Debug)]
pub(super) struct Ops {
    client: reqwest::Client,
    base: Url,
    token: SecretString,
}

impl Ops {
    /// The routes at an address.
    pub(super) fn at(address: &str, token: SecretString, layers: &Layers) -> Result<Self, Failure> {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let wrong = |why: String| Failure::usage(format!("--url {address}: {why}"));
        let base: Url = address.parse().map_err(|error| wrong(format!("no URL: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("expected http or https".to_owned()));
        }
        Ok(Self { client: client_of(layers)?, base, token })
    }

    async fn call(&self, method: Method, route: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let (status, answer) = self.send(method, self.url(route)?, body).await?;
        self.checked(status, answer)
    }

    /// Calls a route that works on some letters; answers on how many.
    async fn change(&self, method: Method, route: &str, which: DeadLetters) -> Result<u64, Failure> {
        let body = match which {
            DeadLetters::All => json!({ "all": true }),
            DeadLetters::Ids(ids) => json!({ "ids": ids }),
        };
        read(self.call(method, route, Some(&body)).await?["count"].take())
    }

    fn url(&self, route: &str) -> Result<Url, Failure> {
        let base = self.base.as_str().trim_end_matches('/');
        format!("{base}/ops/v1/{route}").parse().map_err(|error| Failure::usage(format!("{base}: {error}")))
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<(StatusCode, Value), Failure> {
        let mut request = self.client.request(method, url.clone()).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| no_answer(url.as_str(), &error))?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    fn checked(&self, status: StatusCode, answer: Value) -> Result<Value, Failure> {
        if status.is_success() {
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().or(status.canonical_reason()).unwrap_or("no reason");
        let text = format!("{}: {} {detail}", self.base, status.as_u16());
        Err(match status {
            StatusCode::UNAUTHORIZED => Failure::usage(format!("{text}: the operator's token is new with each start")),
            StatusCode::NOT_FOUND => {
                Failure::usage(format!("{text}: in production the archiver has these routes on its internal port"))
            }
            _ if status.is_server_error() => Failure::unavailable(text),
            _ => Failure::failed(text),
        })
    }
}

#[async_trait]
impl Letters for Ops {
    async fn count(&self) -> Result<Option<u64>, Failure> {
        read(self.call(Method::GET, "queue", None).await?["dead"].take())
    }

    async fn list(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, Failure> {
        let mut answer = self.call(Method::GET, &format!("dead-letters?limit={limit}"), None).await?;
        read(answer["dead_letters"].take())
    }

    async fn find(&self, id: &str) -> Result<Option<DeadLetter>, Failure> {
        let mut url = self.url("dead-letters")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            // Whatever a user types stays one segment.
            segments.push(id);
        }
        match self.send(Method::GET, url, None).await? {
            (StatusCode::NOT_FOUND, answer) if answer["detail"] == "Dead letter not found" => Ok(None),
            (status, answer) => read(self.checked(status, answer)?).map(Some),
        }
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, Failure> {
        self.change(Method::POST, "dead-letters/redrive", which).await
    }

    async fn purge(&self, which: DeadLetters) -> Result<u64, Failure> {
        self.change(Method::DELETE, "dead-letters", which).await
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| Failure::failed(format!("the answer is not understood: {error}")))
}
