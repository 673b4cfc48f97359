//! `/ops/v1` of the archiver, as a command calls it.

use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::cli::{Common, DlqArgs, ListenArgs};
use crate::commands::http_client::{client, no_answer};
use crate::failure::Failure;
use crate::run_file::RunFile;
use crate::settings;

/// Where the operators' routes are, and who may use them.
#[derive(Debug)]
pub(super) struct Ops {
    client: reqwest::Client,
    base: Url,
    token: SecretString,
}

impl Ops {
    /// The system that runs on the data folder, or the one that is named.
    pub(super) fn find(common: &Common, args: &DlqArgs) -> Result<Self, Failure> {
        let (address, token) = match (&args.url, &args.token_file) {
            (Some(url), Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
                (url.clone(), text.trim().into())
            }
            _ => {
                let layers = settings::load(common, &ListenArgs::default(), None)?;
                let running = RunFile::find(&settings::data_folder(&layers))?;
                (running.operators_address("archiver")?.to_owned(), running.operator_token.into())
            }
        };
        let address = if address.contains("://") { address } else { format!("http://{address}") };
        let wrong = |why: String| Failure::usage(format!("--url {address}: {why}"));
        let base: Url = address.parse().map_err(|error| wrong(format!("no URL: {error}")))?;
        if base.scheme() != "http" {
            return Err(wrong("this build speaks plain http alone".to_owned()));
        }
        Ok(Self { client: client()?, base, token })
    }

    /// One dead letter, if it is there.
    pub(super) async fn find_letter(&self, id: &str) -> Result<Option<Value>, Failure> {
        let mut url = self.url("dead-letters")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            // Whatever a user types stays one segment.
            segments.push(id);
        }
        match self.send(Method::GET, url, None).await? {
            (StatusCode::NOT_FOUND, answer) if answer["detail"] == "Dead letter not found" => Ok(None),
            (status, answer) => self.checked(status, answer).map(Some),
        }
    }

    /// Calls a route.
    pub(super) async fn call(&self, method: Method, route: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let (status, answer) = self.send(method, self.url(route)?, body).await?;
        self.checked(status, answer)
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
