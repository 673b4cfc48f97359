//! What rooms ask of the bodies that callers send: [`Rules`] for values, which names every one that is wrong, and
//! deserialisers for shapes that serde does not have.
//!
//! Shapes come first: a body of another shape is refused at the first place that differs. Texts and types of the errors
//! are those of FastAPI, whose clients read them.

mod members;
mod rules;

pub use members::{clearable, objects, optional_whole, required, whole};
pub use rules::Rules;
