//! From what callers send to an order: a new one, a changed one.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chassis::error::FieldError;
use chassis::validation::{Rules, objects, required};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{Item, ItemDraft, Order, OrderId, OrderStatus, UserId, Version};

/// Items of one order.
const ITEMS: RangeInclusive<usize> = 1..=1000;
/// Characters of an address.
const ADDRESS: RangeInclusive<usize> = 1..=500;

/// An order as callers describe it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OrderDraft {
    /// Who orders: an id of users.
    #[schema(example = "01975408-5f35-7000-8000-000000000000")]
    pub user_id: String,
    /// What is ordered.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 1000)]
    pub items: Vec<ItemDraft>,
    /// Where it is to be sent.
    #[schema(example = "123 Main St, City, Country", min_length = 1, max_length = 500, pattern = r"^[^\u0000]*$")]
    pub shipping_address: String,
}

/// What is to be changed of an order, as callers describe it; what is not there stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = OrderChanges)]
pub struct ChangesDraft {
    /// Where it is to stand.
    #[serde(default, deserialize_with = "required")]
    #[schema(nullable = false, value_type = Option<OrderStatus>)]
    pub status: Option<String>,
    /// Where it is to be sent; changes before shipping alone.
    #[serde(default, deserialize_with = "required")]
    #[schema(
        nullable = false,
        example = "124 Main St, City, Country",
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\u0000]*$"
    )]
    pub shipping_address: Option<String>,
    #[serde(default, rename = "items", deserialize_with = "is_there")]
    #[schema(ignore)]
    has_items: bool,
    #[serde(default, rename = "user_id", deserialize_with = "is_there")]
    #[schema(ignore)]
    has_user_id: bool,
}

/// Changes that break no rule by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderChanges {
    /// Where the order is to stand.
    pub status: Option<OrderStatus>,
    /// Where it is to be sent.
    pub shipping_address: Option<String>,
}

/// A member that must not be there, whatever it is.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl OrderDraft {
    /// The new order.
    ///
    /// # Errors
    /// Every value that breaks a rule.
    pub fn into_order(self, id: OrderId, now: Timestamp) -> Result<Order, Vec<FieldError>> {
        let mut rules = Rules::default();
        let items = check_items(self.items, &mut rules);
        rules.text("shipping_address", &self.shipping_address, ADDRESS);
        rules.finish(items.map(|items| Order {
            id,
            user_id: UserId(self.user_id),
            items,
            shipping_address: self.shipping_address,
            status: OrderStatus::Pending,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        }))
    }
}

/// Of a list that is too long nothing more is said.
fn check_items(items: Vec<ItemDraft>, rules: &mut Rules) -> Option<Arc<[Item]>> {
    if !rules.list("items", items.len(), ITEMS) {
        return None;
    }
    rules.within("items", |rules| {
        let check = |(place, item): (usize, ItemDraft)| rules.within(place, |rules| item.check(rules));
        let checked: Vec<_> = items.into_iter().enumerate().map(check).collect();
        checked.into_iter().collect()
    })
}

impl ChangesDraft {
    /// The changes, but for the status, which callers are told of in another way.
    ///
    /// # Errors
    /// Every value that breaks a rule, and each that never changes.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut rules = Rules::default();
        for (member, is_there) in [("items", self.has_items), ("user_id", self.has_user_id)] {
            if is_there {
                rules.refuse(member, "frozen_field", format!("The {member} of an order cannot change"));
            }
        }
        if let Some(address) = &self.shipping_address {
            rules.text("shipping_address", address, ADDRESS);
        }
        rules.finish(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn draft(body: Value) -> Result<Order, Vec<FieldError>> {
        let draft: OrderDraft = serde_json::from_str(&body.to_string()).unwrap();
        draft.into_order(OrderId(Uuid::nil()), Timestamp::UNIX_EPOCH)
    }

    fn item() -> Value {
        json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 })
    }

    fn wrong(result: Result<Order, Vec<FieldError>>) -> Vec<(Value, String)> {
        result.unwrap_err().into_iter().map(|error| (json!(error.loc), error.kind)).collect()
    }

    #[test]
    fn every_wrong_value_is_named_with_its_item() {
        let bad = json!({ "product_id": "", "product_name": "x".repeat(201), "quantity": 0, "price": 0.00001 });
        let more = json!({ "product_id": "a\0", "product_name": "b", "quantity": 1_000_001, "price": -1 });
        let body = json!({ "user_id": "ann", "items": [item(), bad, more], "shipping_address": "x".repeat(501) });
        let place = |item: usize, member: &str| json!(["body", "items", item, member]);
        let expected = [
            (place(1, "product_id"), "string_too_short"),
            (place(1, "product_name"), "string_too_long"),
            (place(1, "quantity"), "greater_than_equal"),
            (place(1, "price"), "decimal_max_places"),
            (place(2, "product_id"), "value_error"),
            (place(2, "quantity"), "less_than_equal"),
            (place(2, "price"), "greater_than_equal"),
            (json!(["body", "shipping_address"]), "string_too_long"),
        ];
        assert_eq!(wrong(draft(body)), expected.map(|(loc, kind)| (loc, kind.to_owned())));
    }

    #[test]
    fn an_order_has_one_to_a_thousand_items() {
        let of = |items: usize| {
            draft(json!({ "user_id": "ann", "items": vec![item(); items], "shipping_address": "1 Main St" }))
        };
        for (items, kind) in [(0, "too_short"), (1001, "too_long")] {
            assert_eq!(wrong(of(items)), [(json!(["body", "items"]), kind.to_owned())]);
        }
        assert_eq!(of(1).unwrap().items.len(), 1);
        assert_eq!(of(1000).unwrap().total().to_string(), "999990");
    }

    #[test]
    fn what_never_changes_is_refused_whatever_it_is() {
        for value in ["null", "[]", "\"ann\"", "{\"a\":[1,{}]}"] {
            let body = format!("{{\"items\":{value},\"user_id\":{value},\"status\":\"shipped\"}}");
            let wrong = serde_json::from_str::<ChangesDraft>(&body).unwrap().check().unwrap_err();
            let members: Vec<_> = wrong.iter().map(|error| &error.loc[1]).collect();
            assert_eq!(members, ["items", "user_id"], "{value}");
        }
        for fine in ["{}", r#"{"shipping_address":"2 Main St"}"#, r#"{"status":"lost","more":1}"#] {
            assert_eq!(serde_json::from_str::<ChangesDraft>(fine).unwrap().check(), Ok(()), "{fine}");
        }
        for wrong in [r#"{"status":null}"#, r#"{"status":5}"#, r#"{"shipping_address":null}"#] {
            assert!(serde_json::from_str::<ChangesDraft>(wrong).is_err(), "{wrong}");
        }
    }
}
