//! Users as callers see them, on a store in memory.
#![cfg(test)]

mod access;
mod accounts;
mod events;
mod idempotency;
mod kit;
mod logins;
mod memory_store;
mod openapi;
mod outages;
mod service_tokens;
mod users;
