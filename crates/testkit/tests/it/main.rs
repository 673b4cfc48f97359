//! The fault kit against real clients: the AWS SDK, object_store, plain HTTP and plain sockets.
#![cfg(test)]

mod clients;
mod control;
mod policy;
mod proxy;
mod s3;
mod secrets;
mod sqs_batches;
mod sqs_faults;
mod sqs_queues;
mod sqs_receive;
