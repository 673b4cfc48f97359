//! The access table of the contract, section 2.4, in production and in development.

use chassis::testing::TestApp;
use http::Method;
use serde_json::{Value, json};

use crate::kit::{ORDERS, PRODUCTION, Site, laptop, path};

/// Every route, with a body that is right, for an order of `owner`.
fn routes(owner: &str, order: &Value) -> Vec<(Method, String, String)> {
    let order = path(order);
    vec![
        (Method::POST, ORDERS.into(), laptop(owner).to_string()),
        (Method::GET, ORDERS.into(), String::new()),
        (Method::GET, format!("{ORDERS}/user/{owner}"), String::new()),
        (Method::GET, order.clone(), String::new()),
        (Method::PUT, order.clone(), json!({ "shipping_address": "2 Main St" }).to_string()),
        (Method::PUT, order.clone(), json!({ "status": "confirmed" }).to_string()),
        (Method::PUT, order.clone(), json!({ "status": "cancelled" }).to_string()),
        (Method::DELETE, order, String::new()),
    ]
}

async fn statuses(app: &TestApp, token: Option<&str>, owner: &str, order: &Value) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path, body) in routes(owner, order) {
        let answer = match token {
            Some(token) => app.ask_as(token, method, &path, body).await,
            None => app.send(app.request(method, &path).body(body.into()).unwrap()).await,
        };
        statuses.push(answer.status.as_u16());
    }
    statuses
}

async fn ordered_as(site: &Site, user: &str) -> Value {
    let token = site.app.token(user, &[]);
    site.app.ask_as(&token, Method::POST, ORDERS, laptop(user).to_string()).await.expect(201).json()
}

#[tokio::test]
async fn production_knows_own_others_and_scopes() {
    let site = Site::with(PRODUCTION).await;
    let app = &site.app;
    let (anns, bobs) = (ordered_as(&site, "ann").await, ordered_as(&site, "bob").await);
    let ann = app.token("ann", &[]);
    //                                                      create list user read put confirm cancel delete
    assert_eq!(statuses(app, None, "ann", &anns).await, [401; 8]);
    assert_eq!(statuses(app, Some("bad"), "ann", &anns).await, [401; 8]);
    assert_eq!(statuses(app, Some(&ann), "ann", &anns).await, [201, 200, 200, 200, 200, 403, 200, 403]);
    assert_eq!(statuses(app, Some(&ann), "bob", &bobs).await, [404, 200, 404, 404, 404, 404, 404, 403]);
    let reader = app.token("operator", &["orders:read"]);
    assert_eq!(statuses(app, Some(&reader), "bob", &bobs).await, [404, 200, 200, 200, 404, 404, 404, 403]);
    let writer = app.token("operator", &["orders:write"]);
    assert_eq!(statuses(app, Some(&writer), "bob", &bobs).await, [201, 200, 404, 404, 200, 200, 200, 204]);
}

#[tokio::test]
async fn a_list_shows_ones_own_whatever_is_asked_for() {
    let site = Site::with(PRODUCTION).await;
    for user in ["ann", "bob", "bob"] {
        ordered_as(&site, user).await;
    }
    let total = async |token: &str, query: &str| {
        let listed = site.app.ask_as(token, Method::GET, &format!("{ORDERS}{query}"), "").await.expect(200);
        let rows = listed.json().as_array().unwrap().len().to_string();
        assert_eq!(listed.header("x-total-count"), rows);
        rows
    };
    let (ann, operator) = (site.app.token("ann", &[]), site.app.token("ann", &["orders:read"]));
    for (query, own, all) in [
        ("", "1", "3"),
        ("?user_id=ann", "1", "1"),
        ("?user_id=bob", "0", "2"),
        ("?status=pending", "1", "3"),
        ("?status=shipped", "0", "0"),
    ] {
        assert_eq!((total(&ann, query).await.as_str(), total(&operator, query).await.as_str()), (own, all), "{query}");
    }
}

#[tokio::test]
async fn of_ones_own_order_cancelling_follows_the_rules_too() {
    let site = Site::with(PRODUCTION).await;
    let order = ordered_as(&site, "ann").await;
    let put = async |token: &str, status: &str| {
        site.app.ask_as(token, Method::PUT, &path(&order), json!({ "status": status }).to_string()).await
    };
    let (ann, writer) = (site.app.token("ann", &[]), site.app.token("operator", &["orders:write"]));
    for status in ["pending", "confirmed", "shipped", "delivered"] {
        put(&ann, status).await.expect_problem(403, "The token lacks the scope orders:write");
    }
    put(&writer, "confirmed").await.expect(200);
    put(&writer, "shipped").await.expect(200);
    put(&ann, "cancelled").await.expect_problem(409, "The status cannot change from shipped to cancelled");
}

#[tokio::test]
async fn a_wrong_method_is_405_for_everybody() {
    for site in [Site::with(PRODUCTION).await, Site::new().await] {
        for path in [ORDERS, "/api/v1/orders/42", "/api/v1/orders/user/ann"] {
            let request = site.app.request(Method::PATCH, path).body(String::new().into()).unwrap();
            site.app.send(request).await.expect_problem(405, "Method Not Allowed");
        }
    }
}

#[tokio::test]
async fn development_serves_everybody_who_shows_no_bad_token() {
    let site = Site::new().await;
    let order = site.ordered("ann").await;
    assert_eq!(statuses(&site.app, Some("bad"), "ann", &order).await, [401; 8]);
    assert_eq!(statuses(&site.app, None, "ann", &order).await, [201, 200, 200, 200, 200, 200, 200, 204]);
}
