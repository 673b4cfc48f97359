//! What tests and benchmarks break things with: [`aws`], a scripted fake of SQS, S3, Parameter Store, Secrets Manager
//! and STS, and [`proxy`], a TCP proxy that delays, cuts and swallows.
//!
//! Both are for development alone, and depend on no other crate of this workspace. Each runs on a thread of its own,
//! in real time: a test may block, or stop its own clock, and the other side still answers.

pub mod aws;
mod host;
pub mod proxy;
