//! Services that end, fail, hang and fall silent, and what their callers notice of it.
//!
//! A binary of its own, since most of these tests measure shares and times: they take turns (`kit::alone`), and no
//! other binary's tests run beside them. Each has a short form, which always runs, and a long one.
#![cfg(test)]

mod connections;
mod deadlines;
mod failing;
mod kit;
mod posts;
mod restarts;
mod retries;
mod slow;
