//! The gateway as its callers and the services behind it see it, with real servers in the place of those.
#![cfg(test)]

mod answers;
mod headers;
mod kit;
mod openapi;
mod outages;
mod routes;
mod streams;
