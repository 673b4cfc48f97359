//! What orders asks users: whether somebody is one.

use std::time::Duration;

use chassis::client::{Answer, CallError, CallFailure, CallLimits, NoClient, ServiceClient, ServiceUrls};
use chassis::error::Error;
use chassis::health::Check;
use chassis::service::Service;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::user_not_found;
use crate::model::UserId;

/// As users is called everywhere.
const USERS: &str = "user-service";
/// Of one question. Whoever orders while users is down learns it within two seconds, with all else that there is to do.
const TIME_LIMIT: Duration = Duration::from_millis(1500);

/// All users, elsewhere.
#[derive(Debug)]
pub(crate) struct Users {
    client: ServiceClient,
}

impl Users {
    pub(crate) fn new(url: ServiceUrls, service: &Service) -> Result<Self, NoClient> {
        let limits = CallLimits { timeout: TIME_LIMIT, ..CallLimits::default() };
        Ok(Self { client: service.callees().client(USERS, url, limits)? })
    }

    /// What is asked with.
    pub(crate) fn client(&self) -> &ServiceClient {
        &self.client
    }

    /// Lets those pass who are users, as far as the bearer of this token can see.
    ///
    /// # Errors
    /// 404 when users says that there is nobody; 503 for any other answer, and for none.
    pub(crate) async fn expect(&self, id: &UserId, token: Option<&SecretString>) -> Result<(), Error> {
        if !id.is_possible() {
            return Err(user_not_found());
        }
        let call = self.client.get(&["api", "v1", "users", id.as_str()]);
        let call = token.into_iter().fold(call, chassis::client::Call::bearer);
        judge(id, call.send().await)
    }

    /// Orders that are there can be seen and changed without users.
    pub(crate) fn check(&self) -> Check {
        self.client.check(USERS)
    }
}

/// A user, as far as it matters here.
#[derive(Deserialize)]
struct Found {
    id: String,
}

/// Why nobody is found.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// What users says, and nobody else: anything may answer 200 or 404 at a wrong address.
fn judge(id: &UserId, answered: Result<Answer, CallError>) -> Result<(), Error> {
    let answer = match answered {
        Ok(answer) => answer,
        // No URL can name them, so users has none of that id.
        Err(error) if matches!(error.failure(), CallFailure::Unaddressable(_)) => return Err(user_not_found()),
        Err(error) => return Err(error.into()),
    };
    let is_user = || answer.json::<Found>().is_ok_and(|found| found.id == id.as_str());
    let is_nobody = || answer.json::<Problem>().is_ok_and(|problem| problem.detail == "User not found");
    match answer.status() {
        StatusCode::OK if is_user() => Ok(()),
        StatusCode::NOT_FOUND if is_nobody() => Err(user_not_found()),
        // Another route of users has such a name, and no user has: their ids are UUIDs.
        status if !status.is_server_error() && Uuid::try_parse(id.as_str()).is_err() => Err(user_not_found()),
        _ => Err(answer.unexpected().into()),
    }
}
