//! What is ordered.

use chassis::validation::{Rules, whole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::money::{Money, NoPrice, WrittenNumber};

/// Pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// 1 to 200 characters.
    #[schema(example = "prod-1")]
    pub product_id: String,
    /// 1 to 200 characters.
    #[schema(example = "Laptop")]
    pub product_name: String,
    /// 1 to 10⁶ pieces.
    #[schema(example = 1, minimum = 1, maximum = 1_000_000)]
    pub quantity: u32,
    /// Of one piece.
    #[schema(value_type = f64, example = 999.99, minimum = 0, maximum = 1_000_000_000)]
    pub price: Money,
}

impl Item {
    /// What all pieces cost.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.price.times(self.quantity)
    }
}

/// Pieces of one product as callers describe them.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ItemDraft {
    /// Names the product.
    #[schema(example = "prod-1", min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$")]
    pub product_id: String,
    /// What the product is called.
    #[schema(example = "Laptop", min_length = 1, max_length = 200, pattern = r"^[^\u0000]*$")]
    pub product_name: String,
    /// Pieces.
    #[serde(deserialize_with = "whole")]
    #[schema(example = 1, minimum = 1, maximum = 1_000_000)]
    pub quantity: i64,
    /// Of one piece, with at most four decimals. It is taken as it is written, never as the nearest float.
    #[schema(value_type = f64, example = 999.99, minimum = 0, maximum = 1_000_000_000)]
    pub price: WrittenNumber,
}

/// Characters of a product's id and name.
const PRODUCT: std::ops::RangeInclusive<usize> = 1..=200;
/// Pieces of one product.
const QUANTITY: std::ops::RangeInclusive<i64> = 1..=1_000_000;

impl ItemDraft {
    pub(super) fn check(self, rules: &mut Rules) -> Option<Item> {
        rules.text("product_id", &self.product_id, PRODUCT);
        rules.text("product_name", &self.product_name, PRODUCT);
        rules.number("quantity", self.quantity, QUANTITY);
        let price = Money::price(&self.price);
        if let Err(fault) = price {
            rules.refuse("price", kind(fault), fault.to_string());
        }
        Some(Item {
            product_id: self.product_id,
            product_name: self.product_name,
            quantity: u32::try_from(self.quantity).ok()?,
            price: price.ok()?,
        })
    }
}

fn kind(fault: NoPrice) -> &'static str {
    match fault {
        NoPrice::Negative => "greater_than_equal",
        NoPrice::TooHigh => "less_than_equal",
        NoPrice::TooFine => "decimal_max_places",
    }
}
