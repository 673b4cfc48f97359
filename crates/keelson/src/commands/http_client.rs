//! HTTP as the command line speaks it: short calls with a time limit, and errors that name the address.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use chassis::config::{Layers, Reader, TlsConfig};
use chassis::error::causes;
use chassis::tls::Tls;
use reqwest::Url;

use crate::failure::Failure;
use crate::output::print_error;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a look at a page.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a page that are read; one of metrics has some ten thousand.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A client that follows no redirects and uses no proxy: it talks to the system itself. Over TLS it believes and shows
/// what the services of the system do.
pub(super) fn client(tls: &TlsConfig) -> Result<reqwest::Client, Failure> {
    let mut builder =
        reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy();
    if let Some(tls) = Tls::load(tls)? {
        builder = builder.tls_backend_preconfigured(tls.client_config().map_err(|error| no_client(&error))?);
    }
    builder.build().map_err(|error| no_client(&error))
}

/// What is wrong is most often that the system has no certificates of authorities, as images without a system do.
fn no_client(error: &dyn Error) -> Failure {
    Failure::failed(format!(
        "cannot make an HTTP client: {}; install the certificates of authorities (ca-certificates), or name those of the \
         system in TLS_CA_FILE",
        causes(error)
    ))
}

/// The same for a look whether services are ready, which goes on where the files of TLS are wrong at the moment: the
/// services go on with those that they have, and are not to be stopped for that. Then nobody's certificate is looked at,
/// since nothing is told.
pub(super) fn probe(tls: &TlsConfig) -> Result<reqwest::Client, Failure> {
    client(tls).or_else(|failure| {
        print_error(&format!("the certificates of services are not looked at: {failure}"));
        let builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        let client = builder.no_proxy().tls_danger_accept_invalid_certs(true).build();
        client.map_err(|error| no_client(&error))
    })
}

/// The same for commands that read few settings.
pub(super) fn client_of(layers: &Layers) -> Result<reqwest::Client, Failure> {
    client(&tls_of(layers)?)
}

/// The settings of TLS alone.
pub(super) fn tls_of(layers: &Layers) -> Result<TlsConfig, Failure> {
    let mut reader = Reader::new(layers);
    let tls = TlsConfig::read(&mut reader);
    Ok(reader.finish(tls)?)
}

/// A call that got no answer.
pub(super) fn no_answer(url: &str, error: &reqwest::Error) -> Failure {
    Failure::unavailable(format!("{url}: {}", short_cause(error)))
}

/// Why a call got no answer.
pub(super) fn short_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("no answer within {TIMEOUT:?}")
    } else if let Some(cause) = tls_cause(error) {
        format!("it answers, and TLS fails: {cause}; TLS_CA_FILE and TLS_CERT_FILE are to be those of the system")
    } else if error.is_connect() {
        "nothing listens there".to_owned()
    } else {
        error.to_string()
    }
}

/// Why somebody who listens there was not spoken to.
pub(super) fn tls_cause(error: &reqwest::Error) -> Option<String> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(text) = of_tls(cause) {
            return Some(text);
        }
        next = cause.source();
    }
    None
}

/// The library of TLS wraps its errors so, and whoever calls it may wrap them once more.
fn of_tls(error: &(dyn Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<io::Error>()?;
    let inner = error.get_ref()?;
    of_tls(inner).or_else(|| (error.kind() == ErrorKind::InvalidData).then(|| error.to_string()))
}

/// An address that a user typed: a host, host:port, or a plain URL; as the beginning of URLs. `name` is what it was
/// given as. What was typed is not repeated, as it may hold a password.
pub(super) fn address(name: &str, text: &str) -> Result<String, Failure> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let is_plain =
        |url: &Url| matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    match with_scheme.parse::<Url>() {
        Ok(url) if is_plain(&url) => Ok(with_scheme.trim_end_matches('/').to_owned()),
        _ => Err(Failure::usage(format!(
            "{name}: expected a host, host:port, or an http or https URL without user and password"
        ))),
    }
}

/// Status and body of an answer, both within bounds; or why there is none.
pub(super) async fn get(client: &reqwest::Client, url: &str) -> Result<(u16, String), String> {
    let ask = async {
        let mut answer = client.get(url).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        Ok((answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    };
    match tokio::time::timeout(LOOK_TIMEOUT, ask).await {
        Ok(answer) => answer.map_err(|error: reqwest::Error| short_cause(&error)),
        Err(_) => Err(format!("no answer within {LOOK_TIMEOUT:?}")),
    }
}
