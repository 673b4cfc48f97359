//! HTTP as the command line speaks it: short calls with a time limit, and errors that name the address.

use std::time::Duration;

use crate::failure::Failure;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that follows no redirects and uses no proxy: it talks to the system itself.
pub(super) fn client() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| Failure::failed(format!("cannot make an HTTP client: {error}")))
}

/// A call that got no answer.
pub(super) fn no_answer(url: &str, error: &reqwest::Error) -> Failure {
    Failure::unavailable(format!("{url}: {}", short_cause(error)))
}

/// Why a call got no answer.
pub(super) fn short_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("no answer within {TIMEOUT:?}")
    } else if error.is_connect() {
        "nothing listens there".to_owned()
    } else {
        error.to_string()
    }
}
