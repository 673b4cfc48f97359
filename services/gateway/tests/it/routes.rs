//! Which requests reach which service, and how.

use http::Method;

use crate::kit::{Site, USERS};

#[tokio::test]
async fn each_route_reaches_its_service_and_no_other() {
    let site = Site::new().await;
    for (target, service) in [
        ("/.well-known/jwks.json", "users"),
        ("/api/v1/users", "users"),
        ("/api/v1/users?skip=0&limit=2", "users"),
        ("/api/v1/users/stats/count", "users"),
        ("/api/v1/orders", "orders"),
        ("/api/v1/orders/user/0197547b-4f13?status=pending", "orders"),
        ("/api/v1/analytics", "analytics"),
        ("/api/v1/analytics/stats?from=2026-01-01", "analytics"),
        ("/api/message", "ingest"),
        ("/submit?", "ingest"),
    ] {
        site.get(target, &[]).await.expect(200);
        let taken = site.taken();
        let [(name, asked)] = &taken[..] else { panic!("{target}: {taken:?}") };
        assert_eq!((*name, asked.target.as_str()), (service, target));
    }
}

#[tokio::test]
async fn any_method_is_the_services_to_judge() {
    let site = Site::new().await;
    for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let method: Method = name.parse().unwrap();
        for target in [USERS, "/api/v1/orders/1", "/api/message"] {
            site.users.tell(200, &[], "{}");
            site.send(method.clone(), target, &[], "").await.expect(200);
            let taken = site.taken();
            let [(_, asked)] = &taken[..] else { panic!("{method} {target}: {taken:?}") };
            assert_eq!((&asked.method, asked.target.as_str()), (&method, target));
        }
    }
    site.users.tell(405, &[("allow", "GET,HEAD,POST"), ("content-type", "application/problem+json")], "{}");
    let refused = site.send(Method::PATCH, USERS, &[], "").await.expect(405);
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
}

/// Each of them means one thing to every server, and is a route of some service, or of none: that is for it to say.
#[tokio::test]
async fn a_target_arrives_byte_for_byte() {
    let site = Site::new().await;
    for rest in [
        "/..%2F..%2f..%2Fhealth",
        "/%2f..",
        "/%252e%252e",
        "/.../..a/%2E%2e%2E",
        "/a%5C..%5cb/%00/%zz/%FF/%",
        "/a;b=c,d:e@f!$&'()*+|^[]{}\"",
        "/x/",
        "/ü",
        "?a=%31+%20b&&=&c='|{}[]^`\\&d=../..//x?y#",
    ] {
        let target = format!("{USERS}{rest}");
        site.get(&target, &[]).await.expect(200);
        // What stands behind `#` is for the one who asks alone, and no part of a request.
        assert_eq!(site.users.only().target, target.trim_end_matches('#'));
    }
}

#[tokio::test]
async fn what_could_mean_another_path_reaches_nobody() {
    let site = Site::new().await;
    for rest in [
        "/..",
        "/../orders",
        "/../../../metrics",
        "/./profile",
        "/%2e%2e/%2e%2e/%2e%2e/metrics",
        "/.%2E/orders",
        "/%2E./orders",
        "/x/%2e",
        "//evil.example",
        "/x//y",
        "/..\\..\\metrics",
        "/\\evil.example",
    ] {
        site.get(&format!("{USERS}{rest}"), &[]).await.expect_problem(404, "Not Found");
        assert!(site.taken().is_empty(), "{rest}");
    }
}

#[tokio::test]
async fn a_whole_url_names_a_route_and_no_other_host() {
    let site = Site::with(&[("PRODUCTION", "true")]).await;
    site.get("http://evil.example:1/api/v1/users?a=b", &[]).await.expect(200);
    let asked = site.users.only();
    assert_eq!(asked.target, "/api/v1/users?a=b");
    assert_eq!(asked.all("x-forwarded-host"), ["evil.example:1"]);
    assert!(asked.all("host")[0].starts_with("127.0.0.1:"), "{asked:?}");
}

#[tokio::test]
async fn other_paths_are_404_and_reach_nobody() {
    let site = Site::new().await;
    for path in [
        "/nowhere",
        "/api",
        "/api/v1",
        "/api/v1/usersx",
        "/api/v1/users/",
        "/api/v2/users",
        "/API/v1/users",
        "/api/v1/%75sers",
        "/api/v1/users%2f..%2forders",
        "/api/v1\\users",
        "/api/message/",
        "/api/messages",
        "/submit/x",
        "//api/v1/users",
        "/.well-known/other",
    ] {
        site.get(path, &[]).await.expect_problem(404, "Not Found");
        assert!(site.taken().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_body_arrives_whole_with_its_type_and_its_length() {
    let site = Site::new().await;
    let largest = "ü".repeat(1 << 20);
    for body in ["", "{\"name\":\"ü\"}", "\r\n0\r\n\r\n", largest.as_str()] {
        let content_type = ("content-type", "application/vnd.x+json; charset=utf-8");
        site.send(Method::POST, USERS, &[content_type], body.to_owned()).await.expect(200);
        let asked = site.users.only();
        assert!(asked.body == body, "of {} bytes arrived {}", body.len(), asked.body.len());
        assert_eq!(asked.all("content-type"), [content_type.1]);
        let length = body.len().to_string();
        let lengths = asked.all("content-length");
        assert!(lengths == [length.as_str()] || (body.is_empty() && lengths.is_empty()), "{lengths:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_reaches_nobody() {
    let site = Site::with(&[("MAX_BODY_BYTES", "10")]).await;
    site.send(Method::POST, "/submit", &[], "0123456789").await.expect(200);
    assert_eq!(site.taken().len(), 1);
    let refused = site.send(Method::POST, "/submit", &[], "0123456789+").await;
    let problem = refused.expect_problem(413, "Payload too large");
    assert_eq!(problem["error"], "Payload too large", "where clients of ingest look for it");
    let announced = site.send(Method::POST, USERS, &[("content-length", "11")], "").await;
    announced.expect_problem(413, "Payload too large");
    assert!(site.taken().is_empty());
}

#[tokio::test]
async fn a_target_that_no_service_needs_to_read_is_414() {
    let site = Site::new().await;
    site.get(&format!("{USERS}?q={}", "a".repeat(7000)), &[]).await.expect(200);
    assert_eq!(site.users.only().target.len(), USERS.len() + 3 + 7000);
    let too_long = site.get(&format!("{USERS}?q={}", "a".repeat(9000)), &[]).await;
    too_long.expect_problem(414, "The request target is too long");
    assert!(site.taken().is_empty());
}
