//! Accounts as their owners see them: registration, login, profile; and how many there are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::auth::{Caller, Check, PasswordHash, weakness_of};
use chassis::error::{Error, FieldError, Kind};
use chassis::http::{Envelope, Json, Keyed};
use chassis::telemetry::correlation;
use http::header;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Users;
use crate::model::{Credentials, MAX_USERNAME_CHARS, NewUser, User, UserCounts, UserId, UsernameKey};
use crate::store::StoreError;

/// Characters of a password.
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=100;

/// Somebody who wants an account.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Registration {
    #[schema(example = "john", min_length = 3, max_length = 50, pattern = r"^[^\u0000]*$")]
    username: String,
    #[schema(example = "john.doe@example.com", format = Email, max_length = 254)]
    email: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 100)]
    password: SecretString,
}

/// Who registered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    user_id: Uuid,
    #[schema(example = "john")]
    username: String,
}

/// Somebody who wants a token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    #[schema(example = "john")]
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// A token, for `Authorization: Bearer`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token {
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Profile {
    user_id: Uuid,
    #[schema(example = "john")]
    username: String,
    #[schema(example = "john.doe@example.com")]
    email: String,
    is_active: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// How many accounts there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    total_users: u64,
    active_users: u64,
    inactive_users: u64,
}

/// Registers an account that can log in.
#[utoipa::path(
    post, path = "/api/v1/users/register", tag = "accounts", request_body = Registration,
    params(("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "Sent again with the same key, the request is answered as before and not done again")),
    responses(
        (status = 200, body = Envelope<Registered>),
        (status = 400, description = "User with this username or email already exists"),
        (status = 409, description = "A request with this key is being worked on"),
        (status = 422, description = "A value breaks a rule, or the password is one of those that everybody tries"),
        (status = 503, description = "The store is unreachable, or too many passwords are being hashed"),
    )
)]
pub(crate) async fn register(
    State(users): State<Arc<Users>>,
    Keyed { key, body }: Keyed<Registration>,
) -> Result<Response, Error> {
    let _turn = users.idempotency.begin(key.as_ref())?;
    let Registration { username, email, password } = body;
    let id = UserId(users.context.ids.uuid());
    let checked = User::registered(id, &username, &email, users.context.now()).map_err(Error::invalid);
    // Both mistakes at once: the account's and the password's.
    let user = match (checked, password_mistake(&password, &username, &email)) {
        (Ok(user), None) => user,
        (Ok(_), Some(mistake)) => return Err(Error::invalid(vec![mistake])),
        (Err(error), mistake) => return Err(error.with_fields(mistake)),
    };
    let hash = users.hasher.hash(password).await?;
    let event = users.registered(id);
    let new = NewUser { password: Some(hash.as_str().into()), event, ..NewUser::new(user) };
    let answer = Envelope::of("User created successfully", Registered { user_id: id.0, username }).into_response();
    let taken = Error::new(Kind::BadRequest, "User with this username or email already exists");
    users.add(new, key, answer, taken).await
}

/// Gives a token for a username and its password.
#[utoipa::path(
    post, path = "/api/v1/users/login", tag = "accounts", request_body = Login,
    responses(
        (status = 200, body = Token),
        (status = 401, description = "Incorrect username or password"),
        (status = 422, description = "A value is missing or of the wrong kind"),
        (status = 429, description = "Too many wrong passwords"),
        (status = 503, description = "The store is unreachable, or too many passwords are being hashed"),
    )
)]
pub(crate) async fn log_in(State(users): State<Arc<Users>>, Json(login): Json<Login>) -> Result<Response, Error> {
    // Whoever spells a name in other letters guesses at the same account. A name that nobody has is cut, so that it costs
    // no more than others.
    let account = UsernameKey::of(&login.username.chars().take(MAX_USERNAME_CHARS + 1).collect::<String>());
    let attempt = users.guesses.admit(account.as_str(), client()).map_err(|wait| {
        users.metrics.throttled_logins.inc();
        Error::new(Kind::TooManyRequests, "Too many failed logins, try again later").retry_after(wait)
    })?;
    match users.check(&account, is_plausible(&login.username, &login.password), login.password).await {
        Ok(Some(found)) => {
            attempt.succeeded();
            users.metrics.logins.inc();
            let token = users.token(&found)?;
            users.reporter.record(users.logged_in(found.id)).await;
            Ok(token)
        }
        Ok(None) => {
            users.metrics.failed_logins.inc();
            Err(Error::new(Kind::Unauthorized, "Incorrect username or password"))
        }
        Err(error) => {
            attempt.withdrawn();
            Err(error)
        }
    }
}

/// Shows the account of the token's bearer.
#[utoipa::path(
    get, path = "/api/v1/users/profile", tag = "accounts",
    responses(
        (status = 200, body = Envelope<Profile>),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn get_profile(
    State(users): State<Arc<Users>>,
    caller: Caller,
) -> Result<Json<Envelope<Profile>>, Error> {
    let gone = || Error::new(Kind::Unauthorized, "Invalid or expired token");
    let id: UserId = caller.subject().and_then(|subject| subject.parse().ok()).ok_or_else(gone)?;
    // A token outlives the account that was deleted.
    let user = users.store.find(id).await?.ok_or_else(gone)?;
    let profile = Profile {
        user_id: id.0,
        username: user.name,
        email: user.email.as_str().to_owned(),
        is_active: user.is_active,
        created_at: user.created_at,
    };
    Ok(Envelope::of("Profile retrieved successfully", profile))
}

/// Counts all users.
#[utoipa::path(
    get, path = "/api/v1/users/stats/count", tag = "accounts",
    responses((status = 200, body = Envelope<Counts>), (status = 503, description = "The store is unreachable"))
)]
pub(crate) async fn count_users(State(users): State<Arc<Users>>) -> Result<Json<Envelope<Counts>>, Error> {
    let counts = users.count().await?;
    let counts = Counts {
        total_users: counts.total,
        active_users: counts.active,
        inactive_users: counts.total.saturating_sub(counts.active),
    };
    Ok(Envelope::of("User statistics retrieved successfully", counts))
}

impl Users {
    /// Counting goes through all users and anybody may ask: one count runs at a time, and serves all who asked before it
    /// began.
    async fn count(&self) -> Result<UserCounts, StoreError> {
        let asked = Instant::now();
        let mut last = self.counted.lock().await;
        if let Some((began, counts)) = *last
            && began >= asked
        {
            return Ok(counts);
        }
        let began = Instant::now();
        let counts = self.store.count().await?;
        *last = Some((began, counts));
        Ok(counts)
    }

    /// Whose password this is. Whether nobody has the name, or has it and may not log in, takes as long as a wrong
    /// password.
    async fn check(
        &self,
        account: &UsernameKey,
        is_plausible: bool,
        password: SecretString,
    ) -> Result<Option<Credentials>, Error> {
        let found = if is_plausible { self.store.find_credentials(account).await? } else { None };
        let active = found.filter(|found| found.is_active);
        let stored = active.as_ref().map(|found| PasswordHash::from_stored(found.password.expose_secret()));
        let check = self.hasher.verify(password.clone(), stored).await?;
        if let (Check::RightButOutdated, Some(found)) = (check, &active) {
            self.hash_anew(found, password).await;
        }
        Ok(active.filter(|_| check != Check::Wrong))
    }

    /// With the parameters of today. What fails is tried again at the next login.
    async fn hash_anew(&self, found: &Credentials, password: SecretString) {
        let id = found.id;
        let hashed = match self.hasher.hash(password).await {
            Ok(hash) => hash,
            Err(error) => return warn!(cause = %error, user.id = %id, "the password of user {id} was not hashed anew"),
        };
        let store = &self.store;
        if let Err(error) = store.replace_password(id, found.password.clone(), hashed.as_str().into()).await {
            warn!(cause = %error, user.id = %id, "the new hash of user {id}'s password was not kept");
        }
    }

    /// RFC 6749, section 5.1: nobody on the way keeps a token.
    fn token(&self, found: &Credentials) -> Result<Response, Error> {
        let token = self.issuer.issue(&found.id.to_string(), &found.username, &[]).map_err(Error::internal)?;
        let token = Token { access_token: token.expose_secret().to_owned(), token_type: "bearer" };
        Ok(([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response())
    }
}

/// What nobody could have registered need not be looked up; it is hashed all the same.
fn is_plausible(username: &str, password: &SecretString) -> bool {
    let chars = |text: &str| text.chars().take(*PASSWORD.end() + 1).count();
    chars(username) <= MAX_USERNAME_CHARS && PASSWORD.contains(&chars(password.expose_secret()))
}

fn password_mistake(password: &SecretString, username: &str, email: &str) -> Option<FieldError> {
    let password = password.expose_secret();
    let chars = password.chars().count();
    let (kind, msg) = if chars < *PASSWORD.start() {
        ("string_too_short", format!("String should have at least {} characters", PASSWORD.start()))
    } else if chars > *PASSWORD.end() {
        ("string_too_long", format!("String should have at most {} characters", PASSWORD.end()))
    } else {
        ("value_error", weakness_of(password, username, email)?.to_string())
    };
    Some(FieldError::new(&["body", "password"], msg, kind))
}

/// Where the request comes from, as the edge has found out.
fn client() -> IpAddr {
    correlation::with_current(|scope| scope.client).flatten().unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}
