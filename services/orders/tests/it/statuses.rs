//! Each status after each status, and who wins of many.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::kit::{ORDERS, Site, path};

const ALL: [&str; 5] = ["pending", "confirmed", "shipped", "delivered", "cancelled"];

/// What leads from a new order to one that stands there.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "confirmed" => &["confirmed"],
        "shipped" => &["confirmed", "shipped"],
        "delivered" => &["confirmed", "shipped", "delivered"],
        "cancelled" => &["cancelled"],
        _ => &[],
    }
}

async fn order_that_is(site: &Site, status: &str) -> Value {
    let mut order = site.ordered("ann").await;
    for step in way_to(status) {
        order = site.put(&path(&order), json!({ "status": step })).await.expect(200).json();
    }
    assert_eq!(order["status"], status);
    order
}

#[tokio::test]
async fn each_of_the_twenty_five_pairs_is_answered_as_the_contract_says() {
    let site = Site::new().await;
    let legal = [
        ("pending", "confirmed"),
        ("confirmed", "shipped"),
        ("shipped", "delivered"),
        ("pending", "cancelled"),
        ("confirmed", "cancelled"),
    ];
    for from in ALL {
        for to in ALL {
            let order = order_that_is(&site, from).await;
            let tag = site.app.get(&path(&order)).await.header("etag").to_owned();
            let answer = site.put(&path(&order), json!({ "status": to })).await;
            if from == to {
                let same = answer.expect(200);
                assert_eq!((same.json(), same.header("etag")), (order, tag.as_str()), "it is no change");
            } else if legal.contains(&(from, to)) {
                let changed = answer.expect(200);
                assert_eq!(changed.json()["status"], to);
                assert_ne!(changed.header("etag"), tag);
            } else {
                let text = format!("The status cannot change from {from} to {to}");
                answer.expect_problem(409, &text);
                assert_eq!(site.app.get(&path(&order)).await.json(), order);
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_status_is_400_and_what_is_no_text_422() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    const TEXT: &str = "Invalid status. Must be one of: pending, confirmed, shipped, delivered, cancelled";
    for wrong in ["", "lost", "Shipped", " pending"] {
        site.put(&path(&order), json!({ "status": wrong })).await.expect_problem(400, TEXT);
    }
    for wrong in [json!(null), json!(1), json!(["pending"]), json!({})] {
        let problem =
            site.put(&path(&order), json!({ "status": wrong })).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], json!(["body", "status"]));
    }
    assert_eq!(site.app.get(&path(&order)).await.json(), order);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_conflicting_transitions_the_winner_is_on_a_legal_path() {
    let site = Site::new().await;
    for round in 0..10 {
        let order = order_that_is(&site, "confirmed").await;
        let path = path(&order);
        let wanted = |number: usize| if (number + round).is_multiple_of(2) { "shipped" } else { "cancelled" };
        let puts = (0..100).map(|number| site.put(&path, json!({ "status": wanted(number) })));
        let answers = join_all(puts).await;
        let end = site.app.get(&path).await.expect(200);
        let winner = end.json()["status"].as_str().unwrap().to_owned();
        assert_eq!(end.header("etag"), "\"3\"", "one of them was done");
        for (number, answer) in answers.into_iter().enumerate() {
            if wanted(number) == winner {
                assert_eq!(answer.expect(200).json()["status"], winner);
            } else {
                let text = format!("The status cannot change from {winner} to {}", wanted(number));
                answer.expect_problem(409, &text);
            }
        }
    }
    let listed = site.app.get(&format!("{ORDERS}?status=confirmed")).await.expect(200);
    assert_eq!(listed.json(), json!([]));
}
