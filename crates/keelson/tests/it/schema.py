"""What the API documents cannot say, told to schemathesis. See schema.rs."""

import os

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

CHANGED = "Changed meanwhile: read it again, and use its new ETag in If-Match"
# The document has the pattern of a list of tags; one phase of schemathesis makes headers without looking at patterns.
NO_TAGS = {
    f'{name}: expected `*`, or entity tags such as "1", with their quotes' for name in ("if-match", "if-none-match")
}
REUSED = "Idempotency-Key was used before with another body"
USER_ID = "String should have at most 255 characters, and no NUL"
CHOICE = "expected either `all: true` or a non-empty list `ids`"

# Refusals of requests that are valid by themselves: what they say clashes with what is there, or is easy to guess. Each
# is allowed with these texts alone.
REFUSALS = {
    # A duplicate is 400. That a password is common or stands beside the account's own words, no schema can tell.
    "POST /api/v1/users/register": {
        "User with this username or email already exists",
        "Password is too common, choose another one",
        "Password must not be the username",
        "Password must not be the e-mail address or a part of it",
        REUSED,
    },
    "POST /api/v1/users": {REUSED},
    # After ten wrong passwords the right one has to wait.
    "POST /api/v1/users/login": {"Too many failed logins, try again later"},
    # Who is registered keeps a name that can log in; the name of anybody else may be shorter or longer.
    "PUT /api/v1/users/{user_id}": {
        CHANGED,
        "String should have at least 3 characters",
        "String should have at most 50 characters",
    }
    | NO_TAGS,
    "DELETE /api/v1/users/{user_id}": {CHANGED} | NO_TAGS,
    "GET /api/v1/users/{user_id}": NO_TAGS,
    "POST /api/v1/orders": {REUSED},
    "PUT /api/v1/orders/{order_id}": {CHANGED} | NO_TAGS,
    "DELETE /api/v1/orders/{order_id}": {CHANGED} | NO_TAGS,
    "GET /api/v1/orders/{order_id}": NO_TAGS,
    "POST /api/v1/analytics/events": {REUSED},
    # Nor has an instant, or a date that there is, a pattern.
    "GET /api/v1/analytics/stats": {"Input should be an instant such as 2026-01-01T00:00:00Z, or a date", USER_ID},
    # ISO 8601 has too many forms for a pattern.
    "POST /submit": {"Invalid timestamp format"},
    # The one or the other, which the document says in words.
    "POST /ops/v1/dead-letters/redrive": {CHOICE},
    "DELETE /ops/v1/dead-letters": {CHOICE},
}


@schemathesis.check
def valid_data_is_accepted(context, response, case):
    """The check of schemathesis, but for the refusals above."""
    allowed = REFUSALS.get(case.operation.label)
    if allowed and 400 <= response.status_code < 500:
        problem = response.json()
        texts = {error["msg"] for error in problem.get("errors", [])} or {problem["detail"]}
        if texts <= allowed:
            return None
    return positive_data_acceptance(context, response, case)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts in what nobody can invent: an account's password, the token for ingest, the id of a dead letter or a user, the name
    of a service."""
    is_valid = case.meta.generation.mode.is_positive
    if case.operation.label == "POST /api/v1/orders" and is_valid:
        case.body["user_id"] = os.environ["USER_ID"]
        for item in case.body["items"]:
            # A schema can ask for multiples of 0.0001, but in binary floats hardly a number is one.
            item["price"] = round(item["price"], 4)
    if case.operation.label == "POST /api/v1/users/login" and is_valid:
        case.body = {"username": os.environ["USERNAME_OF_TEST"], "password": os.environ["PASSWORD_OF_TEST"]}
    if case.operation.label == "GET /ops/v1/dead-letters/{id}" and is_valid:
        case.path_parameters["id"] = os.environ["DEAD_LETTER"]
    if case.operation.label == "POST /call/{service_name}" and is_valid:
        # Which services there are, and what paths stay below them, no schema can tell.
        case.path_parameters["service_name"] = os.environ["PEER"]
        case.query = {**(case.query or {}), "path": "/health"}
    if case.operation.label in {"POST /api/message", "POST /submit"} and isinstance(case.body, dict):
        token = case.body.get("token")
        if token and isinstance(token, str):
            case.body["token"] = os.environ["API_TOKEN"]
