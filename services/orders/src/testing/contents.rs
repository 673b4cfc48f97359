//! What is read is what was written.

use super::{OrderHarness, create, id, order};
use crate::model::{Item, Money, Order, OrderStatus, UserId, Version};

fn item(price: &str, quantity: u32, name: &str) -> Item {
    let price: Money = serde_json::from_str(price).unwrap();
    Item { product_id: format!("id of {name}"), product_name: name.to_owned(), quantity, price }
}

async fn read_back(harness: &impl OrderHarness, order: Order) {
    let written = create(harness, order).await;
    assert_eq!(harness.store().find(written.id).await.unwrap().unwrap(), written);
}

pub async fn a_created_order_reads_back_whole(harness: &impl OrderHarness) {
    read_back(harness, order(1, "ann")).await;
    for (number, status) in (2..).zip(OrderStatus::ALL) {
        read_back(harness, Order { status, version: Version(7), ..order(number, "bob") }).await;
    }
    let other = harness.other_process().await;
    assert_eq!(other.find(id(1)).await.unwrap().unwrap(), order(1, "ann"));
}

pub async fn a_missing_order_is_none(harness: &impl OrderHarness) {
    create(harness, order(1, "ann")).await;
    assert_eq!(harness.store().find(id(2)).await.unwrap(), None);
}

pub async fn texts_come_back_as_they_were_given(harness: &impl OrderHarness) {
    let long = "🦀".repeat(200);
    let texts = [
        "'; DROP TABLE orders; --",
        "\" OR \"\"=\"",
        "{\"$ne\": null}",
        "%00 \\0 \\u0000 %s ${x} {{x}}",
        "  blanks \t\r\n around  ",
        "👩‍👩‍👧‍👦 \u{202e}أهلا",
        "\u{feff}\u{fffd}\u{1}\u{7f}\u{85}",
        "NULL",
        "../../../health",
        &long,
    ];
    for (number, text) in (1..).zip(texts) {
        let items = vec![item("1", 1, text), item("2", 2, "plain")].into();
        let user_id = UserId(text.to_owned());
        read_back(harness, Order { items, user_id, shipping_address: text.to_owned(), ..order(number, "ann") }).await;
    }
}

pub async fn amounts_come_back_to_the_last_digit(harness: &impl OrderHarness) {
    let prices = ["0", "0.0001", "0.1", "999.99", "999999999.9999", "1000000000"];
    let items: Vec<_> = prices.iter().map(|price| item(price, 1_000_000, price)).collect();
    let order = create(harness, Order { items: items.into(), ..order(1, "ann") }).await;
    let found = harness.store().find(order.id).await.unwrap().unwrap();
    let digits: Vec<_> = found.items.iter().map(|item| item.price.to_string()).collect();
    assert_eq!(digits, prices);
    assert_eq!((found.total(), found.total().to_string()), (order.total(), "2000001000090000".to_owned()));
}

pub async fn an_order_of_a_thousand_items_reads_back(harness: &impl OrderHarness) {
    let name = "n".repeat(200);
    let items: Vec<_> = (0..1000).map(|number| item("0.1", number + 1, &name)).collect();
    read_back(harness, Order { items: items.into(), ..order(1, "ann") }).await;
}
