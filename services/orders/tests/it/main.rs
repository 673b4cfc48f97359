//! Orders as callers see them, on a store in memory, with a real server in the place of users.
#![cfg(test)]

mod access;
mod changes;
mod events;
mod idempotency;
mod kit;
mod memory_store;
mod openapi;
mod orders;
mod outages;
mod statuses;
mod totals;
mod users;
