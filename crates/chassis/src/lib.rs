//! What every Keelson service stands on: a service is a [`service::Service`] with routes, workers and checks, and
//! [`run`] gives it everything around the handler: configuration, the HTTP edge, health, logs, metrics, limits, drain.
//!
//! The world outside is reached through [`ports`]; the drivers behind them live in the crate `backends`.

pub mod auth;
pub mod client;
pub mod clock;
pub mod config;
pub mod envelope;
pub mod error;
pub mod health;
pub mod http;
pub mod ids;
pub mod lifecycle;
mod ops;
pub mod outbox;
pub mod ports;
pub mod run;
mod server;
pub mod service;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
pub mod validation;
mod whole_body;
