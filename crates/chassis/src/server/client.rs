//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::auth::{CertificateAuthenticator, Claims, expires_at};

/// A client, as far as its connection tells.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// What its certificate lets it do. Found out once for all requests of the connection.
    identity: Option<Arc<Claims>>,
    /// When that certificate is no longer good. Nobody asks for another one on the same connection.
    pub(super) expires: Option<Instant>,
}

/// For how long after its end a certificate still says who asks: clients find out by the answer to a request.
const EXPIRY_GRACE: Duration = Duration::from_secs(60);

impl Client {
    /// An address and nothing more.
    pub(super) fn at(peer: SocketAddr) -> Self {
        Self { peer, identity: None, expires: None }
    }

    /// Whoever has shown a certificate in the handshake, if it is one of a service.
    pub(super) fn of_handshake(
        peer: SocketAddr,
        stream: &TlsStream<TcpStream>,
        authenticator: &CertificateAuthenticator,
    ) -> Self {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(certificate) = certificate else { return Self::at(peer) };
        let left = expires_at(certificate).saturating_sub(UnixTime::now().as_secs());
        let expires = Instant::now().checked_add(Duration::from_secs(left));
        let identity = match authenticator.claims(certificate) {
            Ok(claims) => Some(Arc::new(claims)),
            Err(unverified) => {
                debug!(%peer, cause = %unverified, "a client certificate is none of a service");
                None
            }
        };
        Self { peer, identity, expires }
    }

    /// Whom its certificate makes it, until a little after that is no longer good: the connection ends then, and the
    /// next one shows another.
    pub(super) fn identity(&self) -> Option<Arc<Claims>> {
        let is_over = self.expires.is_some_and(|expires| expires + EXPIRY_GRACE <= Instant::now());
        self.identity.clone().filter(|_| !is_over)
    }

    /// Whether the connection should end, so that the client shows its new certificate on another one.
    pub(super) fn has_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= Instant::now())
    }
}
