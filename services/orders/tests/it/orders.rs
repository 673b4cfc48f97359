//! Create, read and list: section 6 of the contract, seed 004.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::kit::{ORDERS, Site, laptop, path, text};

/// The places that a 422 names.
fn wrong(problem: &Value) -> Vec<Value> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["loc"].clone()).collect()
}

#[tokio::test]
async fn an_order_is_created_whole_and_reads_back_the_same() {
    let site = Site::new().await;
    let answer = site.post(&laptop("ann")).await.expect(201);
    assert!(answer.text().contains("\"price\":999.99}") && answer.text().contains("\"total_amount\":999.99,"));
    let order = answer.json();
    let members: Vec<&String> = order.as_object().unwrap().keys().collect();
    let expected = ["id", "user_id", "items", "shipping_address", "total_amount", "status", "created_at", "updated_at"];
    assert_eq!(members, expected);
    let sent = laptop("ann");
    for member in ["user_id", "items", "shipping_address"] {
        assert_eq!(order[member], sent[member]);
    }
    assert_eq!((&order["total_amount"], &order["status"]), (&json!(999.99), &json!("pending")));
    assert!(text(&order["created_at"]).ends_with('Z') && order["created_at"] == order["updated_at"]);
    assert_eq!((answer.header("location"), answer.header("etag")), (path(&order).as_str(), "\"1\""));
    let read = site.app.get(&path(&order)).await.expect(200);
    assert_eq!((read.json(), read.header("etag")), (order, "\"1\""));
    assert_eq!(site.users.paths(), ["/api/v1/users/ann"]);
}

#[tokio::test]
async fn prices_and_totals_are_exact() {
    let site = Site::new().await;
    for (items, total) in [
        (r#"[{"product_id":"a","product_name":"A","quantity":3,"price":0.1}]"#, "0.3"),
        (r#"[{"product_id":"a","product_name":"A","quantity":3.0,"price":1e-4}]"#, "0.0003"),
        (r#"[{"product_id":"a","product_name":"A","quantity":1000000,"price":999999999.9999}]"#, "999999999999900"),
        (r#"[{"product_id":"a","product_name":"A","quantity":1,"price":0}]"#, "0"),
        (
            r#"[{"product_id":"a","product_name":"A","quantity":1000000,"price":1000000000},
                {"product_id":"b","product_name":"B","quantity":1,"price":0.0001}]"#,
            "1000000000000000.0001",
        ),
    ] {
        let body = format!(r#"{{"user_id":"ann","items":{items},"shipping_address":"1 Main St"}}"#);
        let created = site.app.post(ORDERS, body).await.expect(201);
        let member = format!("\"total_amount\":{total},");
        assert!(created.text().contains(&member), "{total}: {}", created.text());
        let read = site.app.get(&path(&created.json())).await.expect(200);
        assert_eq!(read.text(), created.text());
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_422_with_every_place() {
    let site = Site::new().await;
    let with = |member: &str, value: Value| {
        let mut body = laptop("ann");
        body[member] = value;
        body
    };
    let with_item = |member: &str, value: Value| {
        let mut body = laptop("ann");
        body["items"][0][member] = value;
        body
    };
    let item = |member: &str| json!(["body", "items", 0, member]);
    for (body, places) in [
        (with("items", json!([])), vec![json!(["body", "items"])]),
        (with("items", json!(vec![laptop("ann")["items"][0].clone(); 1001])), vec![json!(["body", "items"])]),
        (with("items", json!({})), vec![json!(["body", "items"])]),
        (with("items", json!([["prod-1", "Laptop", 1, 999.99]])), vec![json!(["body", "items", 0])]),
        (with("items", json!([laptop("ann")["items"][0], null])), vec![json!(["body", "items", 1])]),
        (with("shipping_address", json!("")), vec![json!(["body", "shipping_address"])]),
        (with("shipping_address", json!("x".repeat(501))), vec![json!(["body", "shipping_address"])]),
        (with("shipping_address", json!("a\0b")), vec![json!(["body", "shipping_address"])]),
        (with("shipping_address", json!(null)), vec![json!(["body", "shipping_address"])]),
        (with("user_id", json!(5)), vec![json!(["body", "user_id"])]),
        (with_item("product_id", json!("")), vec![item("product_id")]),
        (with_item("product_name", json!("x".repeat(201))), vec![item("product_name")]),
        (with_item("quantity", json!(0)), vec![item("quantity")]),
        (with_item("quantity", json!(1_000_001)), vec![item("quantity")]),
        (with_item("quantity", json!("1")), vec![item("quantity")]),
        (with_item("quantity", json!(1.5)), vec![item("quantity")]),
        (with_item("price", json!("999.99")), vec![item("price")]),
        (with_item("price", json!(null)), vec![item("price")]),
        (with_item("price", json!(-0.01)), vec![item("price")]),
        (with_item("price", json!(1_000_000_000.01)), vec![item("price")]),
        (with_item("price", json!(0.00001)), vec![item("price")]),
    ] {
        let problem = site.post(&body).await.expect_problem(422, "Validation failed");
        assert_eq!(wrong(&problem), places, "{problem}");
        assert!(problem.to_string().len() < 1000, "the input is not echoed");
    }
    for body in ["", "{", "[]", r#"["ann",[],"1 Main St"]"#, "null", "{} {}", r#"{"user_id":"ann"}"#] {
        let problem = site.app.post(ORDERS, body).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"][0], "body", "{body}");
    }
    assert_eq!(site.app.get(ORDERS).await.expect(200).json(), json!([]));
    assert!(site.users.paths().is_empty(), "users is not asked about what is wrong anyway");
}

#[tokio::test]
async fn every_wrong_value_of_every_item_is_named_at_once() {
    let site = Site::new().await;
    let mut body = laptop("ann");
    let bad = json!({ "product_id": "p", "product_name": "P", "quantity": 0, "price": 0.123456 });
    body["items"] = json!([body["items"][0], bad, body["items"][0], bad]);
    body["shipping_address"] = json!("");
    let problem = site.post(&body).await.expect_problem(422, "Validation failed");
    let of = |item: usize, member: &str| json!(["body", "items", item, member]);
    let address = json!(["body", "shipping_address"]);
    assert_eq!(wrong(&problem), [of(1, "quantity"), of(1, "price"), of(3, "quantity"), of(3, "price"), address]);
    assert_eq!(problem["errors"][1]["msg"], "Decimal input should have no more than 4 decimal places");
    assert_eq!(problem["errors"][1]["type"], "decimal_max_places");
}

#[tokio::test]
async fn a_number_of_any_length_is_read_or_refused() {
    let site = Site::new().await;
    for (price, status) in
        [("1e999", 422), ("1e-999", 422), ("0e999", 201), (&format!("1.{}", "0".repeat(1 << 20)), 201)]
    {
        let item = format!("{{\"product_id\":\"a\",\"product_name\":\"A\",\"quantity\":1,\"price\":{price}}}");
        let body = format!("{{\"user_id\":\"ann\",\"items\":[{item}],\"shipping_address\":\"1 Main St\"}}");
        site.app.post(ORDERS, body).await.expect(status);
    }
}

#[tokio::test]
async fn a_list_is_a_bare_array_in_pages() {
    let site = Site::new().await;
    for number in 0..5 {
        let mut body = laptop(if number == 3 { "bob" } else { "ann" });
        body["shipping_address"] = json!(format!("{number}"));
        site.post(&body).await.expect(201);
        site.app.clock.advance(Duration::from_micros(1));
    }
    let listed = async |query: &str| {
        let answer = site.app.get(&format!("{ORDERS}{query}")).await.expect(200);
        let addresses = answer.json().as_array().unwrap().iter().map(|it| text(&it["shipping_address"])).collect();
        (addresses, answer.header("x-total-count").to_owned())
    };
    let expected = |numbers: &[&str], total: &str| -> (Vec<String>, String) {
        (numbers.iter().map(|it| (*it).to_owned()).collect(), total.to_owned())
    };
    assert_eq!(listed("").await, expected(&["0", "1", "2", "3", "4"], "5"));
    assert_eq!(listed("?skip=1&limit=2").await, expected(&["1", "2"], "5"));
    assert_eq!(listed("?user_id=bob").await, expected(&["3"], "1"));
    assert_eq!(listed("?user_id=ann&skip=1&limit=2").await, expected(&["1", "2"], "4"));
    assert_eq!(listed("?status=pending").await.1, "5");
    assert_eq!(listed("?status=shipped&user_id=ann").await, expected(&[], "0"));
    assert_eq!(listed("?user_id=a%00b").await, expected(&[], "0"));
    assert_eq!(listed("/user/bob").await, expected(&["3"], "1"));
    assert_eq!(listed("/user/ann?skip=3").await, expected(&["4"], "4"));
    for nobody in ["nobody", "..%2F..%2Fhealth", "%00", &"x".repeat(201)] {
        assert_eq!(listed(&format!("/user/{nobody}")).await, expected(&[], "0"));
    }
    let page = site.app.get(&format!("{ORDERS}?user_id=ann&limit=2")).await;
    let next = "</api/v1/orders?user_id=ann&skip=2&limit=2>; rel=\"next\"";
    assert!(page.header("link").contains(next), "{}", page.header("link"));
}

#[tokio::test]
async fn a_list_that_nobody_can_ask_for_is_refused() {
    let site = Site::new().await;
    for list in [ORDERS, "/api/v1/orders/user/ann"] {
        for query in ["skip=-1", "limit=-1", "limit=1001", "limit=ten"] {
            let problem = site.app.get(&format!("{list}?{query}")).await.expect_problem(422, "Validation failed");
            assert_eq!(problem["errors"][0]["loc"][0], "query", "{query}");
        }
    }
    const TEXT: &str = "Invalid status. Must be one of: pending, confirmed, shipped, delivered, cancelled";
    site.app.get(&format!("{ORDERS}?status=lost")).await.expect_problem(400, TEXT);
}

#[tokio::test]
async fn an_unknown_order_is_404_whatever_stands_in_the_path() {
    let site = Site::new().await;
    for id in ["01975408-5f35-7000-8000-000000000000", "42", "..%2F..%2Fhealth", "%00", "%F0%9F%A6%80", "'--"] {
        let path = format!("{ORDERS}/{id}");
        site.app.get(&path).await.expect_problem(404, "Order not found");
        site.put(&path, json!({})).await.expect_problem(404, "Order not found");
        site.delete(&path).await.expect_problem(404, "Order not found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_all_that_are_right() {
    let site = Site::new().await;
    for (path, right) in [
        ("/api/v1/orders", &["GET", "HEAD", "POST"][..]),
        ("/api/v1/orders/42", &["GET", "HEAD", "PUT", "DELETE"]),
        ("/api/v1/orders/user/ann", &["GET", "HEAD"]),
    ] {
        let answer = site.with_header(Method::PATCH, path, ("accept", "*/*"), Value::Null).await.expect(405);
        let allowed: std::collections::BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
        assert_eq!(allowed, right.iter().copied().collect(), "{path}");
    }
}

#[tokio::test]
async fn what_was_done_is_counted() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    for status in ["confirmed", "confirmed", "shipped"] {
        site.put(&path(&order), json!({ "status": status })).await.expect(200);
    }
    site.delete(&path(&order)).await.expect(204);
    let page = site.app.get("/metrics").await.expect(200).text();
    chassis::testing::check_exposition(&page);
    for line in [
        "orders_created_total{service=\"order-service\"} 1",
        "orders_deleted_total{service=\"order-service\"} 1",
        "orders_status_changes_total{status=\"confirmed\",service=\"order-service\"} 1",
        "orders_status_changes_total{status=\"shipped\",service=\"order-service\"} 1",
        "orders_status_changes_total{status=\"cancelled\",service=\"order-service\"} 0",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
}
