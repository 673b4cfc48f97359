//! Where messages go: the system that runs on the data folder, or an address.

use std::path::Path;

use reqwest::Url;
use secrecy::SecretString;

use crate::commands::api_token;
use crate::commands::http_client::no_answer;
use crate::failure::Failure;
use crate::run_file::RunFile;
use crate::settings::Settings;

const ROUTE: &str = "/api/message";

/// A service that takes messages.
#[derive(Debug)]
pub(super) struct Target {
    /// Of the route.
    pub(super) url: String,
    health: String,
    /// What stays the same when the system is started again.
    pub(super) name: String,
    pub(super) token: SecretString,
}

impl Target {
    /// The service at an address.
    pub(super) async fn at(url: &str, settings: &Settings) -> Result<Self, Failure> {
        let token = api_token::of_settings(settings).await?;
        let token = token.ok_or_else(|| {
            Failure::usage("with --url, set API_TOKEN to the token of that service, or to `file:PATH`")
        })?;
        let base = base(url)?;
        Ok(Self { url: format!("{base}{ROUTE}"), health: format!("{base}/health"), name: base, token })
    }

    /// The ingest of a running system.
    pub(super) async fn of_running(running: &RunFile, settings: &Settings) -> Result<Self, Failure> {
        let base = running.address("ingest")?;
        Ok(Self {
            url: format!("{base}{ROUTE}"),
            health: format!("{base}/health"),
            name: folder_name(&settings.data),
            token: api_token::of_running(settings, running).await?,
        })
    }

    /// Finds out whether anything listens there, before anything is read.
    pub(super) async fn reach(&self, client: &reqwest::Client) -> Result<(), Failure> {
        match client.get(&self.health).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(no_answer(&self.url, &error)),
        }
    }
}

/// What a target is called in the file of `--resume`: its address, or the folder of its system.
pub(super) fn target_name(url: Option<&str>, data: &Path) -> Result<String, Failure> {
    url.map_or_else(|| Ok(folder_name(data)), base)
}

/// A folder is the same one whether its system runs or not.
pub(super) fn folder_name(data: &Path) -> String {
    std::path::absolute(data).unwrap_or_else(|_| data.to_owned()).display().to_string()
}

/// The address without the route, which users may leave in it.
fn base(text: &str) -> Result<String, Failure> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let wrong = |why: &str| Failure::usage(format!("--url {text}: {why}"));
    let url: Url = with_scheme.parse().map_err(|error| wrong(&format!("no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("expected http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage("--url: the service takes no password; API_TOKEN has its token"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("expected an address such as `http://127.0.0.1:8080`"));
    }
    let url = url.as_str().trim_end_matches('/');
    Ok(url.strip_suffix(ROUTE).unwrap_or(url).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_and_without_scheme_and_route() {
        for text in ["127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080/api/message"] {
            assert_eq!(base(text).unwrap(), "http://127.0.0.1:8080", "{text}");
        }
        assert_eq!(base("http://lb.example.com/mail/").unwrap(), "http://lb.example.com/mail");
        assert_eq!(base("https://lb.example.com").unwrap(), "https://lb.example.com");
        for text in ["http://", "http://a?b", "http://user:pass@a", "ftp://a"] {
            assert!(base(text).is_err(), "{text}");
        }
    }
}
