//! The rules of an order. No I/O, no HTTP.

mod changes;
mod item;
mod money;
mod order;
mod status;

pub use changes::{ChangesDraft, OrderChanges, OrderDraft};
pub use item::{Item, ItemDraft};
pub use money::{Money, NoPrice, WrittenNumber};
pub use order::{Illegal, NewOrder, Order, OrderId, UserId, Version};
pub use status::{IllegalTransition, OrderStatus, UnknownStatus};
