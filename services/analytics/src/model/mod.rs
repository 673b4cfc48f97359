//! The rules of events. No I/O, no HTTP.

mod draft;
mod event;
mod filter;

pub use draft::EventDraft;
pub use event::{Event, EventId, EventType, NewEvent};
pub use filter::{EventFilter, FilterDraft};
