//! What services ask of the world outside: a queue, an object store, secrets, an outbox. Here stand the traits, their
//! errors by meaning, and in-memory versions that enforce production limits. The drivers live in `backends`;
//! each runs the conformance suite of its port (`testing`).

pub mod lease;
pub mod long_poll;
mod memory_objects;
mod memory_outbox;
mod memory_queue;
pub mod objects;
pub mod outbox;
pub mod queue;
pub mod secrets;

pub use memory_objects::MemoryObjects;
pub use memory_outbox::MemoryOutbox;
pub use memory_queue::MemoryQueue;
pub use objects::{List, Listed, ObjectError, ObjectKey, ObjectStore, Put};
pub use outbox::{Event, Outbox, OutboxDepth, OutboxError};
pub use queue::{
    DeadLetter, DeadLetterSummary, DeadLetters, Message, MessageId, NewMessage, Profile, Queue, QueueError, QueueStats,
    Receipt, Receive,
};
pub use secrets::{MemorySecrets, SecretError, SecretRef, SecretSource};
