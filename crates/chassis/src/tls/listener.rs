//! TLS of one port.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::material::Current;
use super::provider;
use super::verifier::ClientVerifier;
use crate::auth::CertificateAuthenticator;
use crate::config::ClientAuth;
use crate::server::Complaint;

/// What ALPN calls HTTP/2 (RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// Plain bytes that wait to be sent: one record, so that a client which reads slowly is seen to read.
const UNSENT_BYTES: usize = 16 << 10;

/// Shakes hands with the clients of one port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ListenerTls {
    acceptor: TlsAcceptor,
    authenticator: CertificateAuthenticator,
    failing: Arc<Mutex<Complaint>>,
}

impl ListenerTls {
    pub(super) fn new(
        current: &Arc<Current>,
        client_auth: ClientAuth,
        http2: bool,
        authenticator: CertificateAuthenticator,
    ) -> Result<Self, rustls::Error> {
        let verifier = match client_auth {
            ClientAuth::Off => WebPkiClientVerifier::no_client_auth(),
            ClientAuth::Optional => Arc::new(ClientVerifier::new(Arc::clone(current), false)),
            ClientAuth::Required => Arc::new(ClientVerifier::new(Arc::clone(current), true)),
        };
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = config.with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(current) as _);
        config.alpn_protocols = if http2 { vec![HTTP2.into(), HTTP1.into()] } else { vec![HTTP1.into()] };
        if client_auth != ClientAuth::Off {
            // A session that is resumed is not verified again: it would outlive the certificate of the caller.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authenticator, failing: Arc::default() })
    }

    /// A handshake has failed. When it is time for a line in the log: how many did since the last one.
    pub(crate) fn complaint(&self) -> Option<u64> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).due()
    }

    /// Who the certificates of clients are.
    pub(crate) fn authenticator(&self) -> &CertificateAuthenticator {
        &self.authenticator
    }

    /// The handshake. Takes as long as the client does.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept_with(socket, |connection| connection.set_buffer_limit(Some(UNSENT_BYTES))).await
    }
}

/// Whether the client has asked for HTTP/2, and may have it.
pub(crate) fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls").finish_non_exhaustive()
    }
}
