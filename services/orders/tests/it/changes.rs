//! Changes of the address, what never changes, conditions, and deletions.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::kit::{Site, path, text};

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    site.app.clock.advance(Duration::from_secs(1));
    let changed = site.put(&path(&order), json!({ "shipping_address": "2 Main St", "unknown": 1 })).await.expect(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.json();
    assert_eq!(changed["shipping_address"], "2 Main St");
    assert!(text(&changed["updated_at"]) > text(&order["updated_at"]));
    for same in ["id", "user_id", "items", "total_amount", "status", "created_at"] {
        assert_eq!(changed[same], order[same]);
    }
    let both = json!({ "status": "confirmed", "shipping_address": "3 Main St" });
    let both = site.put(&path(&order), both).await.expect(200);
    assert_eq!((both.header("etag"), &both.json()["status"]), ("\"3\"", &json!("confirmed")));
    assert_eq!(site.app.get(&path(&order)).await.json(), both.json());
    for nothing in [json!({}), json!({ "shipping_address": "3 Main St", "status": "confirmed" })] {
        assert_eq!(site.put(&path(&order), nothing).await.expect(200).header("etag"), "\"3\"");
    }
}

#[tokio::test]
async fn the_address_changes_before_shipping_alone() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    let path = path(&order);
    let readdress = async |address: &str| site.put(&path, json!({ "shipping_address": address })).await;
    readdress("2 Main St").await.expect(200);
    site.put(&path, json!({ "status": "confirmed" })).await.expect(200);
    readdress("3 Main St").await.expect(200);
    for status in ["shipped", "delivered"] {
        site.put(&path, json!({ "status": status })).await.expect(200);
        let text = format!("The shipping address of an order that is {status} cannot change");
        readdress("4 Main St").await.expect_problem(409, &text);
        readdress("3 Main St").await.expect(200);
    }
    assert_eq!(site.app.get(&path).await.json()["shipping_address"], "3 Main St");
}

#[tokio::test]
async fn what_never_changes_and_what_breaks_a_rule_is_422() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    for (body, places) in [
        (json!({ "items": order["items"] }), vec!["items"]),
        (json!({ "user_id": "ann" }), vec!["user_id"]),
        (
            json!({ "user_id": null, "items": null, "shipping_address": "" }),
            vec!["items", "user_id", "shipping_address"],
        ),
        (json!({ "status": "confirmed", "items": [] }), vec!["items"]),
        (json!({ "shipping_address": null }), vec!["shipping_address"]),
        (json!({ "shipping_address": "x".repeat(501) }), vec!["shipping_address"]),
    ] {
        let problem = site.put(&path(&order), body).await.expect_problem(422, "Validation failed");
        let wrong: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| text(&error["loc"][1])).collect();
        assert_eq!(wrong, places);
    }
    for body in [json!([]), json!("text"), json!(null)] {
        site.put(&path(&order), body).await.expect_problem(422, "Validation failed");
    }
    assert_eq!(site.app.get(&path(&order)).await.json(), order);
}

#[tokio::test]
async fn a_change_or_deletion_of_another_state_is_412() {
    let site = Site::new().await;
    let path = path(&site.ordered("ann").await);
    let body = || json!({ "shipping_address": "2 Main St" });
    let if_match = |method, tag: &'static str| site.with_header(method, &path, ("if-match", tag), body());
    const TEXT: &str = "Changed meanwhile: read it again, and use its new ETag in If-Match";
    if_match(Method::PUT, "\"2\"").await.expect_problem(412, TEXT);
    if_match(Method::PUT, "\"7\", \"1\"").await.expect(200);
    if_match(Method::PUT, "\"1\"").await.expect_problem(412, TEXT);
    if_match(Method::DELETE, "\"1\"").await.expect_problem(412, TEXT);
    let known = site.with_header(Method::GET, &path, ("if-none-match", "\"2\""), Value::Null).await.expect(304);
    assert_eq!((known.body.len(), known.header("etag")), (0, "\"2\""));
    site.with_header(Method::GET, &path, ("if-none-match", "\"1\""), Value::Null).await.expect(200);
    if_match(Method::DELETE, "\"2\"").await.expect(204);
    if_match(Method::DELETE, "\"2\"").await.expect_problem(404, "Order not found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_of_one_state_one_is_done() {
    let site = Site::new().await;
    let path = path(&site.ordered("ann").await);
    let changes = (0..50).map(|number| {
        let body = json!({ "shipping_address": format!("{number} Main St") });
        site.with_header(Method::PUT, &path, ("if-match", "\"1\""), body)
    });
    let mut statuses: Vec<u16> = join_all(changes).await.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[412; 49][..]));
}

#[tokio::test]
async fn a_deleted_order_is_gone() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    let gone = site.delete(&path(&order)).await.expect(204);
    assert!(gone.body.is_empty());
    site.app.get(&path(&order)).await.expect_problem(404, "Order not found");
    site.delete(&path(&order)).await.expect_problem(404, "Order not found");
    assert_eq!(site.app.get("/api/v1/orders/user/ann").await.expect(200).json(), json!([]));
}
