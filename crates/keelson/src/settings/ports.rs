//! Where each service listens.

use chassis::config::{Port, Reader, Setting};

use crate::cli::ServiceName;

pub(super) const GATEWAY_PORT: Setting<Port> = Setting::new(
    "GATEWAY_PORT",
    "8000",
    "The port of the gateway; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
pub(super) const USERS_PORT: Setting<Port> = Setting::new(
    "USERS_PORT",
    "8002",
    "The port of users; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
pub(super) const ORDERS_PORT: Setting<Port> = Setting::new(
    "ORDERS_PORT",
    "8003",
    "The port of orders; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
pub(super) const ANALYTICS_PORT: Setting<Port> = Setting::new(
    "ANALYTICS_PORT",
    "8001",
    "The port of analytics; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
pub(super) const INGEST_PORT: Setting<Port> = Setting::new(
    "INGEST_PORT",
    "8080",
    "The port of ingest; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
pub(super) const ARCHIVER_PORT: Setting<Port> = Setting::new(
    "ARCHIVER_PORT",
    "8081",
    "The port of the archiver; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);

/// The port of each service, unless the process has one for its only service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    gateway: Port,
    users: Port,
    orders: Port,
    analytics: Port,
    ingest: Port,
    archiver: Port,
}

impl Ports {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            gateway: reader.get(&GATEWAY_PORT),
            users: reader.get(&USERS_PORT),
            orders: reader.get(&ORDERS_PORT),
            analytics: reader.get(&ANALYTICS_PORT),
            ingest: reader.get(&INGEST_PORT),
            archiver: reader.get(&ARCHIVER_PORT),
        }
    }

    /// The port of a service, and the variable that changes it.
    pub(super) fn of(self, service: ServiceName) -> (u16, &'static str) {
        let (port, setting) = match service {
            ServiceName::Gateway => (self.gateway, &GATEWAY_PORT),
            ServiceName::Users => (self.users, &USERS_PORT),
            ServiceName::Orders => (self.orders, &ORDERS_PORT),
            ServiceName::Analytics => (self.analytics, &ANALYTICS_PORT),
            ServiceName::Ingest => (self.ingest, &INGEST_PORT),
            ServiceName::Archiver => (self.archiver, &ARCHIVER_PORT),
        };
        (port.0, setting.info.name)
    }
}
