//! A chassis service whose handler is held up by something behind it: one of 8 places, 2 ms each.
//!
//! The time is spent waiting, not on a core, as with a database or another service: what such a service does when more
//! comes than it can do is up to the chassis alone.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::extract::State;
use chassis::auth::Access;
use chassis::clock::SystemClock;
use chassis::config::{ChassisConfig, Layers, Reader, SETTINGS};
use chassis::http::Routes;
use chassis::lifecycle::Lifecycle;
use chassis::run::{InheritedSockets, Launch, WantedPort, bind, take_ports};
use chassis::service::{Context, Identity, Service};
use chassis::telemetry::logs::{LogSettings, Logs};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use utoipa_axum::routes;

/// Requests that are worked on at once.
const PERMITS: usize = 8;
/// How long each takes.
const PERMIT_HELD: Duration = Duration::from_millis(2);

const IDENTITY: Identity =
    Identity { name: "limited", short_name: "limited", about: "Waits for something that is slow." };

/// Serves with the settings of the environment and else the defaults.
pub(super) async fn serve(port: u16) -> Result<()> {
    let known: Vec<_> = SETTINGS.iter().flat_map(|section| section.settings).copied().collect();
    let layers = Layers::load(&known, None, &[])?;
    let mut reader = Reader::new(&layers);
    let config = ChassisConfig::read(&mut reader, 1, Ipv4Addr::LOCALHOST);
    let config = reader.finish(config)?;
    let places = Arc::new(Semaphore::new(PERMITS));
    let routes = Routes::new().route(Access::Public, routes!(get_work)).with_state(places);
    let service = Service::new(IDENTITY, &Context::system()).routes(routes);
    let logs = Logs::install(LogSettings::new("limited"), SystemClock::shared())?;
    let wanted = WantedPort { service: IDENTITY.short_name, port, variable: "--port" };
    let ports = take_ports(&config, &[wanted], InheritedSockets::none())?;
    let bound = bind(Launch {
        services: [service].into_iter().zip(ports).collect(),
        config,
        logs: Arc::clone(&logs),
        lifecycle: Lifecycle::new(),
        tokens: None,
        tls: None,
        operator_token: None,
        configuration: serde_json::Map::new(),
    })?;
    bound.run(|| {}).await?;
    logs.close();
    Ok(())
}

/// Waits for a place and holds it for a moment.
#[utoipa::path(get, path = "/work", responses((status = 200, body = String)))]
async fn get_work(State(places): State<Arc<Semaphore>>) -> &'static str {
    if let Ok(_place) = places.acquire().await {
        sleep(PERMIT_HELD).await;
    }
    "done"
}
