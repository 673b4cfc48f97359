//! Section 6: what an order may hold, and what it costs.

use reqwest::Method;
use serde_json::{Value, json};

use super::orders::{ORDERS, changed, draft, laptop, path};
use crate::contract::row::{Row, get, post, request};

/// An order of these items, as text: a number has its digits.
fn of_items(items: &str) -> Row {
    let body = format!(r#"{{"user_id":"<id-ann>","items":{items},"shipping_address":"123 Main St, City, Country"}}"#);
    request(Method::POST, ORDERS, Some(body))
}

/// Totals are exact, as they are answered and as they are kept.
pub(super) fn totals() -> Vec<Row> {
    let totals = [
        (r#"[{"product_id":"a","product_name":"A","quantity":3,"price":0.1}]"#, r#""total_amount":0.3,"#),
        (
            r#"[{"product_id":"a","product_name":"A","quantity":1,"price":0.1},
                {"product_id":"b","product_name":"B","quantity":1,"price":0.2}]"#,
            r#""total_amount":0.3,"#,
        ),
        (r#"[{"product_id":"a","product_name":"A","quantity":7,"price":1.1}]"#, r#""total_amount":7.7,"#),
        (r#"[{"product_id":"a","product_name":"A","quantity":3,"price":0.0001}]"#, r#""total_amount":0.0003,"#),
        (r#"[{"product_id":"a","product_name":"A","quantity":1,"price":0}]"#, r#""total_amount":0,"#),
        (
            r#"[{"product_id":"a","product_name":"A","quantity":1000000,"price":999999999.9999}]"#,
            r#""total_amount":999999999999900,"#,
        ),
        (
            r#"[{"product_id":"a","product_name":"A","quantity":1000000,"price":1000000000},
                {"product_id":"b","product_name":"B","quantity":1,"price":0.0001}]"#,
            r#""total_amount":1000000000000000.0001,"#,
        ),
    ];
    let mut rows = Vec::new();
    for (number, (items, total)) in totals.into_iter().enumerate() {
        let name = format!("total-{number}");
        let order = changed(&name, "ann", json!({ "items": "<any>", "total_amount": "<any>" }));
        rows.push(of_items(items).is(201, order.clone()).has(total));
        rows.push(get(path(&name)).is(200, order).has(total));
    }
    rows
}

fn with(member: &str, value: Value) -> Row {
    let mut body = draft("ann");
    body[member] = value;
    post(ORDERS, body)
}

fn with_item(member: &str, value: Value) -> Row {
    let mut item = laptop();
    item[member] = value;
    with("items", json!([item]))
}

fn without(member: &str) -> Row {
    let mut body = draft("ann");
    body.as_object_mut().unwrap().remove(member);
    post(ORDERS, body)
}

fn without_in_item(member: &str) -> Row {
    let mut item = laptop();
    item.as_object_mut().unwrap().remove(member);
    with("items", json!([item]))
}

fn place(item: usize, member: &str) -> Value {
    json!(["body", "items", item, member])
}

/// Of one item.
pub(super) fn bounds_of_items() -> Vec<Row> {
    let mut rows = vec![
        with_item("quantity", json!(1)).status(201),
        with_item("quantity", json!(1_000_000)).status(201),
        with_item("price", json!(0)).status(201),
        with_item("price", json!(0.0001)).status(201),
        with_item("price", json!(1_000_000_000)).status(201),
    ];
    let no_quantities = [json!(0), json!(-1), json!(1_000_001), json!(1.5), json!("1"), json!(true), Value::Null];
    rows.extend(no_quantities.map(|it| with_item("quantity", it).wrong_at(place(0, "quantity"))));
    let too_much = json!(1_000_000_000.01);
    let no_prices = [json!(-0.01), too_much, json!(0.00001), json!(1.23456), json!("999.99"), json!(true), Value::Null];
    rows.extend(no_prices.map(|it| with_item("price", it).wrong_at(place(0, "price"))));
    for member in ["product_id", "product_name"] {
        rows.extend([json!(5), Value::Null].map(|it| with_item(member, it).wrong_at(place(0, member))));
    }
    for member in ["product_id", "product_name", "quantity", "price"] {
        rows.push(without_in_item(member).wrong_at(place(0, member)));
    }
    rows
}

/// Of the whole order.
pub(super) fn bounds() -> Vec<Row> {
    let items = |count: usize| with("items", json!(vec![laptop(); count]));
    let address = |length: usize| with("shipping_address", json!("ä".repeat(length)));
    let raw = |body: &str| request(Method::POST, ORDERS, Some(body.to_owned())).wrong_at(json!(["body"]));
    let mut bad = draft("ann");
    let bad_item = json!({ "product_id": "p", "product_name": "P", "quantity": 0, "price": -1 });
    bad["items"] = json!([laptop(), bad_item]);
    bad["shipping_address"] = json!("");
    let all = vec![place(1, "quantity"), place(1, "price"), json!(["body", "shipping_address"])];
    vec![
        items(1).status(201),
        items(1000).status(201),
        items(0).wrong(&["items"]),
        items(1001).wrong(&["items"]),
        with("items", json!({})).wrong(&["items"]),
        with("items", Value::Null).wrong(&["items"]),
        with("items", json!([laptop(), null])).wrong_at(json!(["body", "items", 1])),
        without("items").wrong(&["items"]),
        address(1).status(201),
        address(500).status(201),
        address(0).wrong(&["shipping_address"]),
        address(501).wrong(&["shipping_address"]),
        with("shipping_address", json!(5)).wrong(&["shipping_address"]),
        with("shipping_address", Value::Null).wrong(&["shipping_address"]),
        without("shipping_address").wrong(&["shipping_address"]),
        with("user_id", json!(5)).wrong(&["user_id"]),
        with("user_id", Value::Null).wrong(&["user_id"]),
        without("user_id").wrong(&["user_id"]),
        post(ORDERS, bad).wrong_places(all),
        raw("{"),
        raw("[]"),
        raw("null"),
        raw(""),
        post(ORDERS, json!({ "shipping_address": "n".repeat(3 << 20) })).problem(413, "Payload too large"),
    ]
}
