//! `/ops/v1` of every service: the log level at run time and the dependencies. Services add their own beside these.
//! Every change is written to the audit log.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::info;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, FieldError};
use crate::http::{Json, ServiceState};
use crate::telemetry::logs::{AUDIT, Level};

/// Where the operators' routes begin.
pub(crate) const PREFIX: &str = "/ops/";

/// The routes that every service has for operators.
pub(crate) fn routes() -> OpenApiRouter<Arc<ServiceState>> {
    OpenApiRouter::new().routes(routes!(get_log_level, put_log_level)).routes(routes!(get_dependencies))
}

/// The least severe level that is logged.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
struct LogLevel {
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL.
    #[schema(example = "DEBUG", pattern = "^(DEBUG|INFO|WARNING|ERROR|CRITICAL)$")]
    level: String,
}

/// The level at which the process logs.
#[utoipa::path(get, path = "/ops/v1/log-level", tag = "operations", responses((status = 200, body = LogLevel)))]
async fn get_log_level(State(state): State<Arc<ServiceState>>) -> Json<LogLevel> {
    Json(LogLevel { level: state.logs.level().to_string() })
}

/// Changes the level at which the process logs, until it ends.
#[utoipa::path(
    put, path = "/ops/v1/log-level", tag = "operations", request_body = LogLevel,
    responses((status = 200, body = LogLevel), (status = 422, description = "No such level"))
)]
async fn put_log_level(
    State(state): State<Arc<ServiceState>>,
    Json(wanted): Json<LogLevel>,
) -> Result<Json<LogLevel>, Error> {
    let expected = "expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL";
    let level: Level = wanted
        .level
        .parse()
        .map_err(|_| Error::invalid(vec![FieldError::new(&["body", "level"], expected, "enum")]))?;
    let before = state.logs.level();
    state.logs.set_level(level);
    info!(target: AUDIT, action = "set_log_level", before = %before, after = %level, "log level is now {level}");
    Ok(Json(LogLevel { level: level.to_string() }))
}

/// Each dependency as it was last seen.
#[utoipa::path(get, path = "/ops/v1/dependencies", tag = "operations", responses((status = 200, description = "By name")))]
async fn get_dependencies(State(state): State<Arc<ServiceState>>) -> Json<Value> {
    let readiness = state.health.readiness().await;
    Json(json!({ "status": readiness.status, "dependencies": readiness.dependencies }))
}
