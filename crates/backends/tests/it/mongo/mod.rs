//! A server that speaks MongoDB's protocol, and databases in it.

mod server;

use std::sync::OnceLock;

pub(crate) use self::server::Server;

/// The URL of an empty database; `None`, after saying so, where there is no server.
pub(crate) fn fresh_url() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref().map(Server::fresh_url)
}
