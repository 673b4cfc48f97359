//! What stands behind the gateway, and how the services of its own process see those who ask through it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway::Parts;
use tracing::warn;

use super::Peers;
use crate::cli::ServiceName;
use crate::settings::Settings;

/// The services that the settings name, and those of this process.
pub(super) fn behind_the_gateway(peers: &Peers) -> Parts {
    let behind = |service| peers.place_of(service).map(Into::into);
    Parts {
        users: behind(ServiceName::Users),
        orders: behind(ServiceName::Orders),
        analytics: behind(ServiceName::Analytics),
        ingest: behind(ServiceName::Ingest),
    }
}

/// Callers who ask through the gateway have its address for the services of its process. Unless those believe what it
/// says of them, one who guesses passwords makes all others wait.
pub(crate) fn warn_of_one_client(settings: &Settings, services: &[ServiceName]) {
    let trusted = |address: &IpAddr| settings.chassis.http.trusted_proxies.iter().any(|net| net.contains(address));
    let address = shared_address(settings.chassis.host, services).filter(|address| !trusted(address));
    if let Some(address) = address {
        warn!(
            "whoever asks through the gateway is {address} to the services of this process, and all count as one client there: set TRUSTED_PROXIES={address}, and let nobody but proxies call from there"
        );
    }
}

/// From where the gateway asks services beside it; `None` where nobody asks from elsewhere.
fn shared_address(host: IpAddr, services: &[ServiceName]) -> Option<IpAddr> {
    let is_beside_others = services.len() > 1 && services.contains(&ServiceName::Gateway);
    match host {
        _ if !is_beside_others || host.is_loopback() => None,
        IpAddr::V4(host) if host.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(host) if host.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        host => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use chassis::config::Layers;

    use super::*;
    use crate::settings::Mode;

    fn settings(texts: &[(&'static str, &str)]) -> Settings {
        Settings::read(&Layers::of(texts), Mode::Serve, &[ServiceName::Gateway]).unwrap()
    }

    const ELSEWHERE: &str = r#"[
        {"name":"user-service","endpoint":"one.internal","port":8002,"timeout":1.5},
        {"name":"user-service","endpoint":"two.internal","port":8002,"timeout":1.5},
        {"name":"order-service","endpoint":"orders.internal","port":443,"scheme":"https"},
        {"name":"ingest","endpoint":"10.0.0.7","port":8080,"timeout":1e300}
    ]"#;

    #[test]
    fn services_are_where_the_settings_say_or_else_in_this_process() {
        let host = ("KEELSON_HOST", "127.0.0.1");
        let own = [
            (ServiceName::Users, SocketAddr::from(([127, 0, 0, 1], 1))),
            (ServiceName::Analytics, SocketAddr::from(([0, 0, 0, 0], 2))),
        ];
        let settings = settings(&[host, ("CONSUMER_SERVICES", ELSEWHERE)]);
        let peers = Peers::new(&settings, &own).unwrap();
        for (service, place) in [
            (ServiceName::Users, "http://one.internal:8002,http://two.internal:8002"),
            (ServiceName::Orders, "https://orders.internal"),
            (ServiceName::Analytics, "http://127.0.0.1:2"),
            (ServiceName::Ingest, "http://10.0.0.7:8080"),
        ] {
            assert_eq!(peers.place_of(service).unwrap().to_string(), place);
        }
    }

    #[test]
    fn a_service_that_nobody_knows_has_no_place() {
        let settings = settings(&[("KEELSON_HOST", "127.0.0.1")]);
        let own = [(ServiceName::Orders, SocketAddr::from(([127, 0, 0, 1], 1)))];
        let parts = behind_the_gateway(&Peers::new(&settings, &own).unwrap());
        assert!(parts.users.is_none() && parts.analytics.is_none() && parts.ingest.is_none());
        assert_eq!(parts.orders.unwrap().urls().to_string(), "http://127.0.0.1:1");
    }

    #[test]
    fn callers_share_an_address_where_they_come_from_elsewhere_to_a_gateway_beside_its_services() {
        let (gateway, both) = (&[ServiceName::Gateway][..], &[ServiceName::Gateway, ServiceName::Users][..]);
        for (host, services, shared) in [
            ("127.0.0.1", both, None),
            ("::1", both, None),
            ("0.0.0.0", gateway, None),
            ("0.0.0.0", &[ServiceName::Users, ServiceName::Orders], None),
            ("0.0.0.0", both, Some("127.0.0.1")),
            ("::", both, Some("::1")),
            ("10.0.0.7", both, Some("10.0.0.7")),
        ] {
            let shared = shared.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(shared_address(host.parse().unwrap(), services), shared, "{host} {services:?}");
        }
    }
}
