//! End-to-end tests: the real binary with embedded stores, one file per subject.
#![cfg(test)]

mod archive;
mod cli;
mod development;
mod durability;
mod failures;
mod launch;
mod layering;
mod message;
mod production;
mod restart;
mod submit;
mod system;
mod token;
