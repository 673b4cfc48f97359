//! End-to-end tests: the real binary with embedded stores, one file per subject.
#![cfg(test)]

mod archive;
mod layering;
mod message;
mod restart;
mod submit;
mod system;
mod token;
