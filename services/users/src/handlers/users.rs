//! Users as other services see them: create, read, change, delete.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::auth::Caller;
use chassis::error::{Error, Kind};
use chassis::http::{Conditions, EntityTag, Json, Keyed, Paging, Path, RequestKey, changed_meanwhile, lacks};
use http::{StatusCode, header};

use super::answers::UserAnswer;
use crate::Users;
use crate::error::not_found;
use crate::model::{NewUser, User, UserChanges, UserDraft, UserId, Version};
use crate::routes::{READ, WRITE};
use crate::store::{Created, StoreError, UserList, Written};

/// How often a change is tried that others got in front of.
const ATTEMPTS: usize = 8;

/// Creates a user who cannot log in.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = UserDraft,
    params(("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "Sent again with the same key, the request is answered as before and not done again")),
    responses(
        (status = 201, body = UserAnswer, headers(
            ("ETag" = String, description = "For `If-Match`"),
            ("Location" = String, description = "The path of the user"),
        )),
        (status = 409, description = "User with this email already exists, or a request with this key is being worked on"),
        (status = 422, description = "A value breaks a rule"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn create_user(
    State(users): State<Arc<Users>>,
    Keyed { key, body: draft }: Keyed<UserDraft>,
) -> Result<Response, Error> {
    let _turn = users.idempotency.begin(key.as_ref())?;
    let user = draft.into_user(UserId(users.context.ids.uuid()), users.context.now()).map_err(Error::invalid)?;
    let location = [(header::LOCATION, format!("/api/v1/users/{}", user.id))];
    let answer = (StatusCode::CREATED, location, tagged(user.clone())?).into_response();
    let taken = Error::new(Kind::Conflict, "User with this email already exists");
    users.add(NewUser::new(user), key, answer, taken).await
}

/// Lists users, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users",
    params(
        ("skip" = Option<u64>, Query, description = "Users before the page, 0 by default"),
        ("limit" = Option<u64>, Query, maximum = 1000, description = "Users of the page at most, 100 by default"),
    ),
    responses(
        (status = 200, body = [UserAnswer], headers(
            ("X-Total-Count" = u64, description = "Users in all"),
            ("Link" = String, description = "The other pages (RFC 8288)"),
        )),
        (status = 422, description = "`skip` or `limit` is out of bounds"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn list_users(State(users): State<Arc<Users>>, paging: Paging) -> Result<Response, Error> {
    let UserList { users, total } = users.store.list(paging.page).await?;
    let answers: Vec<UserAnswer> = users.into_iter().map(UserAnswer::from).collect();
    Ok(paging.answer(&answers, total))
}

/// Reads a user.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path), ("If-None-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 200, body = UserAnswer, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 304, description = "The caller has it already"),
        (status = 404, description = "User not found"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn get_user(
    State(users): State<Arc<Users>>,
    caller: Caller,
    Path(user_id): Path<String>,
    conditions: Conditions,
) -> Result<Response, Error> {
    let user = users.find(&user_id, &caller, READ).await?;
    Ok(conditions.answer(&tag(&user)?, Json(UserAnswer::from(user))))
}

/// Changes a user; what is left out stays.
#[utoipa::path(
    put, path = "/api/v1/users/{user_id}", tag = "users", request_body = UserChanges,
    params(("user_id" = String, Path), ("If-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 200, body = UserAnswer, headers(("ETag" = String, description = "Of the new state"))),
        (status = 404, description = "User not found"),
        (status = 409, description = "Email already in use"),
        (status = 412, description = "Changed meanwhile"),
        (status = 422, description = "A value breaks a rule"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn update_user(
    State(users): State<Arc<Users>>,
    caller: Caller,
    Path(user_id): Path<String>,
    conditions: Conditions,
    Json(changes): Json<UserChanges>,
) -> Result<Response, Error> {
    for _ in 0..ATTEMPTS {
        let user = users.find(&user_id, &caller, WRITE).await?;
        if changes.is_active.is_some() && !caller.has(WRITE) {
            return Err(lacks(WRITE));
        }
        conditions.check_write(&tag(&user)?)?;
        let changed = user.changed(&changes, users.context.now()).map_err(Error::invalid)?;
        match users.store.replace(changed.clone(), user.version).await? {
            Written::Done => return tagged(changed),
            Written::Missing => return Err(not_found()),
            // The state that the caller named is gone; without one, the change is made to what is there now.
            Written::Changed if conditions.names_states() => return Err(changed_meanwhile()),
            Written::Changed => {}
        }
    }
    Err(Error::new(Kind::Unavailable, "Too many changes of this user at once").caused_by("every attempt lost its race"))
}

/// Deletes a user.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path), ("If-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "User not found"),
        (status = 412, description = "Changed meanwhile"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn delete_user(
    State(users): State<Arc<Users>>,
    caller: Caller,
    Path(user_id): Path<String>,
    conditions: Conditions,
) -> Result<StatusCode, Error> {
    let mut known: Option<Version> = None;
    let id: UserId = user_id.parse().map_err(|()| not_found())?;
    if conditions.names_states() {
        let user = users.find(&user_id, &caller, WRITE).await?;
        conditions.check_write(&tag(&user)?)?;
        known = Some(user.version);
    }
    match users.store.delete(id, known, users.deleted(id)).await? {
        Written::Done => {
            users.reporter.written();
            Ok(StatusCode::NO_CONTENT)
        }
        Written::Missing => Err(not_found()),
        Written::Changed => Err(changed_meanwhile()),
    }
}

impl Users {
    /// Adds a user, unless the same request has done so before. Gives its answer, be it that of now or of then.
    pub(super) async fn add(
        &self,
        new: NewUser,
        key: Option<RequestKey>,
        answer: Response,
        taken: Error,
    ) -> Result<Response, Error> {
        let (kept, answer) = self.idempotency.keep(key.clone(), answer).await?;
        let added = if new.password.is_some() { &self.metrics.registered } else { &self.metrics.created };
        let is_reported = new.event.is_some();
        match (self.store.create(NewUser { answer: kept, ..new }).await, key) {
            (Ok(Created::Before(before)), Some(key)) => before.replay(&key),
            (Ok(_), _) => {
                added.inc();
                if is_reported {
                    self.reporter.written();
                }
                Ok(answer)
            }
            (Err(StoreError::Taken(_)), _) => Err(taken),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The user of a path, if the caller may know of it. Whatever stands there that is no id is just an unknown user.
    async fn find(&self, user_id: &str, caller: &Caller, scope: &str) -> Result<User, Error> {
        let id: UserId = user_id.parse().map_err(|()| not_found())?;
        if !caller.reaches(scope, user_id) {
            return Err(not_found());
        }
        self.store.find(id).await?.ok_or_else(not_found)
    }
}

fn tag(user: &User) -> Result<EntityTag, Error> {
    EntityTag::of_version(user.version.0)
}

fn tagged(user: User) -> Result<Response, Error> {
    let tag = tag(&user)?;
    Ok(tag.on(Json(UserAnswer::from(user))))
}
