//! How connections to one address of a service are made, and how requests name it there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use hyper_rustls::{ConfigBuilderExt as _, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, crypto};
use url::Host;

use super::pool::Pool;
use super::reset::ResettingConnector;
use super::{CallFailure, ServiceUrl};
use crate::tls::Tls;

/// How long a connection may take to be made: a service is in the same data centre.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(750);
/// How long the other side's network may leave what was sent without a sign, from the second time on that it is sent (RFC
/// 5482). Where it forgot the connection, a call that can be repeated shall have time for that. How long the service
/// thinks has nothing to do with it, as long as its buffers take the whole request.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_millis(500);
/// The same for a request that the service may have to read before all of it can be sent.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is silent until the network is asked whether the other side is still there, and how often.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes of the longest URL that is sent, which every server must be able to read (RFC 9110, section 4.1).
const MAX_URL_BYTES: usize = 8000;

/// Makes connections. Uses no proxy: it connects to the service itself.
pub(super) type Connector = HttpsConnector<ResettingConnector>;

type Unverified = ConfigBuilder<ClientConfig, WantsVerifier>;

/// Whose certificates are good; read once for all endpoints.
#[derive(Debug, Clone)]
pub(super) struct Trust(ClientConfig);

impl Trust {
    /// Whom the certificates of the process say; whom the system trusts where it has none.
    pub(super) fn of(tls: Option<&Tls>) -> Result<Self, rustls::Error> {
        match tls {
            Some(tls) => tls.client_config().map(Self),
            None => Self::new(|config| config.try_with_platform_verifier()),
        }
    }

    /// Nobody. Without TLS nobody's certificates need to be there, or be read.
    pub(super) fn nobody() -> Result<Self, rustls::Error> {
        Self::new(|config| Ok(config.with_root_certificates(RootCertStore::empty())))
    }

    fn new(
        verifier: impl FnOnce(Unverified) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Self(verifier(config)?.with_no_client_auth()))
    }
}

/// One address of a service.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) url: ServiceUrl,
    pub(super) address: SocketAddr,
    authority: Authority,
    /// Whose certificate it must have.
    server_name: ServerName<'static>,
    /// What the service is called, whatever address it has.
    pub(super) host: HeaderValue,
}

impl Origin {
    /// The service of this URL at one of its addresses.
    pub(super) fn new(url: ServiceUrl, address: SocketAddr) -> Result<Self, String> {
        let authority = address.to_string().parse().map_err(|_| format!("{address} fits into no URL"))?;
        let host = HeaderValue::from_str(&url.authority()).map_err(|_| format!("{url} fits into no header"))?;
        let server_name = match url.url().host() {
            Some(Host::Domain(name)) => {
                ServerName::try_from(name.to_owned()).map_err(|_| format!("no certificate can be for `{name}`"))?
            }
            _ => address.ip().into(),
        };
        Ok(Self { url, address, authority, server_name, host })
    }

    /// The address as people read it.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}", self.url.url().scheme(), self.authority)
    }

    /// A path and query at the service: below the path of its URL.
    pub(super) fn locate(&self, target: &PathAndQuery) -> Result<Uri, CallFailure> {
        let base = self.url.base();
        if base.len() + target.as_str().len() > MAX_URL_BYTES {
            return Err(CallFailure::Unaddressable("the URL has more than 8000 bytes"));
        }
        let unfit = |_| CallFailure::Unaddressable("the path fits into no URL");
        Ok(Uri::from(match base {
            // One that is empty is written as nothing at all by the library.
            "" if target.as_str() == "/" => PathAndQuery::from_static("/"),
            "" => target.clone(),
            base => format!("{base}{target}").parse().map_err(unfit)?,
        }))
    }

    /// For requests that fit into a socket's buffers, and for larger ones. No connections yet.
    pub(super) fn pools(&self, trust: &Trust) -> [Pool; 2] {
        [UNACKNOWLEDGED_TIMEOUT, UNREAD_TIMEOUT]
            .map(|patience| Pool::new(self.connector(trust, patience), self.place()))
    }

    fn place(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.url.is_encrypted() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default()
    }

    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "other systems cannot be told"))]
    fn connector(&self, trust: &Trust, unacknowledged: Duration) -> Connector {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(unacknowledged));
        let connector = ResettingConnector::new(connector);
        HttpsConnectorBuilder::new()
            .with_tls_config(trust.0.clone())
            .https_or_http()
            .with_server_name_resolver(FixedServerNameResolver::new(self.server_name.clone()))
            .enable_http1()
            .wrap_connector(connector)
    }
}
