//! What an order is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chassis::http::StoredAnswer;
use chassis::ports::Event;
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use super::changes::OrderChanges;
use super::{IllegalTransition, Item, Money, OrderStatus};

/// Names an order for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = ();

    /// Takes the form that we write and no other, so that an order has one URL.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = Uuid::try_parse(text).map_err(|_| ())?;
        let mut canonical = Uuid::encode_buffer();
        if *id.hyphenated().encode_lower(&mut canonical) == *text { Ok(Self(id)) } else { Err(()) }
    }
}

/// Whose order it is. Which ids there are is the matter of users: here they are any text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub String);

impl UserId {
    /// Characters of the longest id that anybody can have.
    const MOST_CHARS: usize = 200;

    /// As users writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether anybody can have it: databases hold no NUL, and a long text is no id.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.0.chars().take(Self::MOST_CHARS + 1).count() <= Self::MOST_CHARS && !self.0.contains('\0')
    }
}

/// Counts the changes of one order, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

impl Version {
    /// Of an order that was never changed.
    pub const FIRST: Self = Self(1);

    /// After one more change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// A UUIDv7.
    pub id: OrderId,
    /// Who ordered. Never changes.
    pub user_id: UserId,
    /// What was ordered, 1 to 1000 items. Never changes.
    pub items: Arc<[Item]>,
    /// 1 to 500 characters.
    pub shipping_address: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Tells whether somebody changed the order meanwhile.
    pub version: Version,
    /// To the microsecond.
    pub created_at: Timestamp,
    /// Of the last change, to the microsecond.
    pub updated_at: Timestamp,
}

/// A change that the state of the order does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Illegal {
    /// One status does not follow the other.
    #[error(transparent)]
    Transition(#[from] IllegalTransition),
    /// Whoever brings the order knows another address, or nobody brings it.
    #[error("The shipping address of an order that is {0} cannot change")]
    Address(OrderStatus),
}

impl Order {
    /// What all items cost.
    #[must_use]
    pub fn total(&self) -> Money {
        self.items.iter().map(Item::amount).sum()
    }

    /// The order after these changes; `None` where it is so already.
    ///
    /// # Errors
    /// [`Illegal`], by the status that the order has before.
    pub fn changed(&self, changes: &OrderChanges, now: Timestamp) -> Result<Option<Self>, Illegal> {
        let mut order = self.clone();
        if let Some(status) = changes.status {
            order.status = self.status.change_to(status)?;
        }
        if let Some(address) = &changes.shipping_address {
            order.shipping_address.clone_from(address);
        }
        if order.shipping_address != self.shipping_address && !self.status.is_before_shipping() {
            return Err(Illegal::Address(self.status));
        }
        if order == *self {
            return Ok(None);
        }
        order.version = self.version.next();
        order.updated_at = now;
        Ok(Some(order))
    }
}

/// An order that is to be added.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// In its first version.
    pub order: Order,
    /// The answer to the request, where that may be sent again.
    pub answer: Option<StoredAnswer>,
    /// Tells others, where somebody wants to know.
    pub event: Option<Event>,
}

impl NewOrder {
    /// Without an answer or an event.
    #[must_use]
    pub fn new(order: Order) -> Self {
        Self { order, answer: None, event: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(status: OrderStatus) -> Order {
        Order {
            id: OrderId(Uuid::nil()),
            user_id: UserId("ann".into()),
            items: Arc::from([]),
            shipping_address: "1 Main St".into(),
            status,
            version: Version::FIRST,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn changes(status: Option<OrderStatus>, address: Option<&str>) -> OrderChanges {
        OrderChanges { status, shipping_address: address.map(str::to_owned) }
    }

    fn later() -> Timestamp {
        Timestamp::from_second(1).unwrap()
    }

    #[test]
    fn an_order_has_one_id_in_one_form() {
        let id = "0197a1b2-0000-7000-8000-0000000000ab";
        assert_eq!(id.parse::<OrderId>().unwrap().to_string(), id);
        for other in ["", "42", "../../../health", &id.to_uppercase(), &id.replace('-', "")] {
            assert!(other.parse::<OrderId>().is_err(), "{other}");
        }
    }

    #[test]
    fn nobody_has_an_id_that_no_database_holds() {
        for (id, is_possible) in
            [("", true), ("../../../health", true), (&"é".repeat(200), true), (&"é".repeat(201), false), ("a\0", false)]
        {
            assert_eq!(UserId(id.to_owned()).is_possible(), is_possible, "{id}");
        }
    }

    #[test]
    fn the_address_changes_before_shipping_alone() {
        for status in OrderStatus::ALL {
            let changed = order(status).changed(&changes(None, Some("2 Main St")), later());
            match status {
                OrderStatus::Pending | OrderStatus::Confirmed => {
                    let changed = changed.unwrap().unwrap();
                    assert_eq!((changed.shipping_address.as_str(), changed.version), ("2 Main St", Version(2)));
                    assert_eq!((changed.created_at, changed.updated_at), (Timestamp::UNIX_EPOCH, later()));
                }
                status => assert_eq!(changed, Err(Illegal::Address(status))),
            }
            assert_eq!(order(status).changed(&changes(Some(status), Some("1 Main St")), later()), Ok(None));
            assert_eq!(order(status).changed(&changes(None, None), later()), Ok(None));
        }
    }

    #[test]
    fn both_change_together_or_none() {
        let both = changes(Some(OrderStatus::Shipped), Some("2 Main St"));
        let shipped = order(OrderStatus::Confirmed).changed(&both, later()).unwrap().unwrap();
        assert_eq!((shipped.status, shipped.shipping_address.as_str()), (OrderStatus::Shipped, "2 Main St"));
        let illegal = IllegalTransition { from: OrderStatus::Pending, to: OrderStatus::Shipped };
        assert_eq!(order(OrderStatus::Pending).changed(&both, later()), Err(illegal.into()));
    }
}
