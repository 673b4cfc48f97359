//! Users as callers see them, on a store in memory.
#![cfg(test)]

mod memory_store;
