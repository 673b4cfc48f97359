//! The access table of the contract, section 2.4, in production and in development.

use chassis::testing::TestApp;
use http::Method;
use serde_json::json;

use crate::kit::{PASSWORD, app, in_production, member};

/// Every route, with a body that is right.
fn routes(id: &str) -> Vec<(Method, String, String)> {
    let user = format!("/api/v1/users/{id}");
    vec![
        (Method::POST, "/api/v1/users".into(), json!({ "name": "New", "email": "new@example.com" }).to_string()),
        (Method::GET, "/api/v1/users".into(), String::new()),
        (Method::GET, user.clone(), String::new()),
        (Method::PUT, user.clone(), json!({ "age": 31 }).to_string()),
        (Method::PUT, user.clone(), json!({ "is_active": true }).to_string()),
        (Method::GET, "/api/v1/users/profile".into(), String::new()),
        (Method::DELETE, user, String::new()),
    ]
}

async fn statuses(app: &TestApp, token: Option<&str>, id: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path, body) in routes(id) {
        let answer = match token {
            Some(token) => app.ask_as(token, method, &path, body).await,
            None => app.send(app.request(method, &path).body(body.into()).unwrap()).await,
        };
        statuses.push(answer.status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn production_knows_own_others_and_scopes() {
    let app = in_production();
    let (ann, ann_token) = member(&app, "annie").await;
    let (bob, _) = member(&app, "bobby").await;
    //                                    create list read put active profile delete
    assert_eq!(statuses(&app, None, &ann).await, [401, 401, 401, 401, 401, 401, 401]);
    assert_eq!(statuses(&app, Some("bad"), &ann).await, [401, 401, 401, 401, 401, 401, 401]);
    assert_eq!(statuses(&app, Some(&ann_token), &ann).await, [403, 403, 200, 200, 403, 200, 403]);
    assert_eq!(statuses(&app, Some(&ann_token), &bob).await, [403, 403, 404, 404, 404, 200, 403]);
    let reader = app.token("operator", &["users:read"]);
    assert_eq!(statuses(&app, Some(&reader), &bob).await, [403, 200, 200, 404, 404, 401, 403]);
    let writer = app.token("operator", &["users:write"]);
    assert_eq!(statuses(&app, Some(&writer), &bob).await, [201, 403, 404, 200, 200, 401, 204]);
}

#[tokio::test]
async fn a_wrong_method_is_405_for_everybody() {
    for app in [in_production(), app()] {
        for path in ["/api/v1/users", "/api/v1/users/42", "/api/v1/users/profile"] {
            let request = app.request(Method::PATCH, path).body(String::new().into()).unwrap();
            app.send(request).await.expect_problem(405, "Method Not Allowed");
        }
    }
}

#[tokio::test]
async fn production_serves_the_public_routes_without_a_token() {
    let app = in_production();
    member(&app, "annie").await;
    for path in
        ["/", "/health", "/health/ready", "/openapi.json", "/api/v1/users/stats/count", "/.well-known/jwks.json"]
    {
        app.get(path).await.expect(200);
    }
}

#[tokio::test]
async fn development_serves_everybody_and_the_profile_to_its_bearer() {
    let app = app();
    let (ann, token) = member(&app, "annie").await;
    assert_eq!(statuses(&app, None, &ann).await, [201, 200, 200, 200, 200, 401, 204]);
    assert_eq!(statuses(&app, Some("bad"), &ann).await, [401, 401, 401, 401, 401, 401, 401]);
    let _gone = token;
    let login = json!({ "username": "annie", "password": PASSWORD }).to_string();
    app.post("/api/v1/users/login", login).await.expect(401);
}
