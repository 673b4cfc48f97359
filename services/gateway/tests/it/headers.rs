//! What goes along with a request, and what does not.

use http::Method;

use crate::kit::{Asked, Site, USERS};

async fn arrived(site: &Site, headers: &[(&str, &str)]) -> Asked {
    site.get(USERS, headers).await.expect(200);
    site.users.only()
}

#[tokio::test]
async fn whose_token_it_is_and_what_a_caller_says_arrives_as_it_was_sent() {
    let site = Site::new().await;
    let sent = [
        ("authorization", "bearer  no.token.of-ours"),
        ("x-access-token", "another"),
        ("idempotency-key", "k1"),
        ("if-match", "\"7\""),
        ("if-none-match", "W/\"8\", \"9\""),
        ("accept", "application/json;q=0.5"),
        ("accept-encoding", "br"),
        ("cookie", "a=b"),
        ("cookie", "c=d"),
        ("user-agent", "curl/8"),
        ("x-encrypted-payload", "v2"),
        ("tracestate", "vendor=1"),
        ("x-request-id", "r-1"),
    ];
    let asked = arrived(&site, &sent).await;
    for (name, _) in sent {
        let values: Vec<_> = sent.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect();
        assert_eq!(asked.all(name), values, "{name}");
    }
}

#[tokio::test]
async fn without_a_token_none_is_shown() {
    let asked = arrived(&Site::new().await, &[]).await;
    for name in ["authorization", "x-access-token", "cookie", "origin", "forwarded", "x-real-ip"] {
        assert_eq!(asked.all(name), Vec::<&str>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_ids_of_a_request_travel_and_its_time_is_bounded() {
    let site = Site::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let sent = [
        ("x-correlation-id", "order-42"),
        ("traceparent", parent.as_str()),
        ("x-envoy-expected-rq-timeout-ms", "5000"),
    ];
    let asked = arrived(&site, &sent).await;
    assert_eq!(asked.all("x-correlation-id"), ["order-42"]);
    let [traceparent] = asked.all("traceparent")[..] else { panic!("{asked:?}") };
    assert!(traceparent.contains(trace) && !traceparent.contains("b7ad6b7169203331"), "{traceparent}");
    let left = |asked: &Asked| {
        let [left] = asked.all("x-envoy-expected-rq-timeout-ms")[..] else { panic!("{asked:?}") };
        left.parse::<u64>().unwrap()
    };
    assert!(left(&asked) <= 5000, "{asked:?}");
    let patient = arrived(&site, &[("x-envoy-expected-rq-timeout-ms", "99999999")]).await;
    assert!(left(&patient) <= 30_000, "{patient:?}");
    let invented = arrived(&site, &[("x-correlation-id", "has space")]).await;
    assert_eq!(invented.all("x-correlation-id")[0].len(), 36);
}

#[tokio::test]
async fn nobody_but_a_trusted_proxy_says_for_whom_it_asks() {
    let forged = [
        ("x-forwarded-for", "10.0.0.1, 127.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "root"),
        ("x_forwarded_for", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-envoy-internal", "true"),
    ];
    for trusted in ["", "10.0.0.0/8"] {
        let site = Site::with(&[("TRUSTED_PROXIES", trusted)]).await.of_peer("203.0.113.7");
        let asked = arrived(&site, &forged).await;
        assert_eq!(asked.all("x-forwarded-for"), ["203.0.113.7"]);
        assert_eq!(asked.all("x-forwarded-host"), ["localhost"]);
        assert_eq!(asked.all("x-forwarded-proto"), ["http"]);
        for (name, _) in &forged[3..] {
            assert_eq!(asked.all(name), Vec::<&str>::new(), "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_says_goes_along() {
    let said = [
        ("x-forwarded-for", "198.51.100.9, 203.0.113.7"),
        ("x-forwarded-for", "10.0.0.2"),
        ("x-forwarded-host", "shop.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ];
    let site = Site::with(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).await.of_peer("10.0.0.1");
    let asked = arrived(&site, &said).await;
    assert_eq!(asked.all("x-forwarded-for"), ["198.51.100.9, 203.0.113.7, 10.0.0.2, 203.0.113.7"]);
    for (name, value) in &said[2..] {
        assert_eq!(asked.all(name), [*value], "{name}");
    }
    assert_eq!(arrived(&site, &[]).await.all("x-forwarded-for"), ["10.0.0.1"]);
}

#[tokio::test]
async fn what_belongs_to_one_connection_goes_no_further() {
    let of_the_connection = [
        ("connection", "x-secret, Keep-Alive, X-Forwarded-For, Via"),
        ("x-secret", "hop"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("te", "trailers"),
        ("trailer", "x-t"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
    ];
    let site = Site::new().await;
    let sent = [&of_the_connection[..], &[("x-kept", "1")]].concat();
    site.send(Method::POST, USERS, &sent, "{}").await.expect(200);
    let asked = site.users.only();
    for (name, _) in of_the_connection {
        assert_eq!(asked.all(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(asked.all("x-kept"), ["1"]);
    assert_eq!((asked.all("x-forwarded-for"), asked.all("via").len()), (vec!["127.0.0.1"], 1), "nobody hides so");
    let [host] = asked.all("host")[..] else { panic!("{asked:?}") };
    assert!(host.starts_with("127.0.0.1:"), "the service's own: {host}");
}

#[tokio::test]
async fn each_gateway_on_the_way_says_so_and_a_circle_ends() {
    let site = Site::new().await;
    let asked = arrived(&site, &[("via", "1.0 fred, 1.1 balancer")]).await;
    let via = asked.all("via").join(", ");
    let own = via.strip_prefix("1.0 fred, 1.1 balancer, ").unwrap_or_else(|| panic!("{via}"));
    assert!(own.starts_with("1.1 keelson-"), "{own}");
    let again = site.get(USERS, &[("via", via.as_str())]).await;
    assert!(!again.header("retry-after").is_empty());
    again.expect_problem(503, "user-service unavailable");
    assert!(site.taken().is_empty());
}

#[tokio::test]
async fn web_pages_are_the_edges_to_judge() {
    let site = Site::with(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let origin = ("origin", "https://app.example.com");
    let of_service = [
        ("access-control-allow-origin", "https://other.example"),
        ("access-control-allow-credentials", "true"),
        ("vary", "accept-encoding, Origin"),
    ];
    site.users.tell(200, &of_service, "{}");
    let answer = site.send(Method::POST, USERS, &[origin], "{}").await.expect(200);
    assert_eq!(site.users.only().all("origin"), Vec::<&str>::new());
    let all = |name: &str| answer.headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("access-control-allow-origin"), [origin.1]);
    assert_eq!(all("access-control-allow-credentials"), Vec::<&str>::new());
    assert_eq!(all("vary"), ["accept-encoding", "origin"]);
    let foreign = site.get(USERS, &[("origin", "https://evil.example")]).await.expect(200);
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    site.taken();

    let asks = [origin, ("access-control-request-method", "PUT")];
    let preflight = site.send(Method::OPTIONS, USERS, &asks, "").await.expect(204);
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert!(site.taken().is_empty(), "a preflight is answered here");
}
