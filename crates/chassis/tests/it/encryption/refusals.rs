//! What is not taken, and that nobody learns why.

use axum::body::Body;
use std::time::Duration;

use chassis::clock::Clock as _;
use chassis::envelope::Direction;
use chassis::testing::{TestApp, TestResponse};
use http::Method;
use serde_json::Value;

use super::kit::{CALLER, Draft, OWN, PRODUCTION, Peer, SHARED, app, binding, body, encrypted_data, ring, service};

const THING: &str = r#"{"name":"secret thing"}"#;

/// Everything that a caller sees of a refusal but ids and times.
fn seen(answer: &TestResponse) -> (u16, Value, Vec<String>) {
    let mut problem = answer.json();
    problem["correlation_id"] = Value::Null;
    problem["instance"] = Value::Null;
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (answer.status.as_u16(), problem, headers)
}

async fn expect_indistinguishable(app: &TestApp, drafts: impl IntoIterator<Item = (&'static str, Draft)>) {
    let mut first = None;
    for (what, draft) in drafts {
        let answer = draft.send(app).await;
        answer.clone().expect_problem(400, "Failed to decrypt request data");
        let seen = seen(&answer);
        assert_eq!(*first.get_or_insert(seen.clone()), seen, "{what}");
    }
}

/// One character that is another one.
fn altered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn altered_bodies_are_refused_alike() {
    let (app, peer) = (app(&[]), Peer::new());
    let mut drafts = Vec::new();
    for draft in [peer.v2(&app, "/things", THING), peer.gcm("/things", THING), peer.fernet(&app, "/things", THING)] {
        let length = draft.encrypted_data.len();
        for at in [0, 3, 17, 20, length / 2, length - 6] {
            drafts.push(("altered", Draft { encrypted_data: altered(&draft.encrypted_data, at), ..draft.clone() }));
        }
        for text in ["", "A", "not base64!", &draft.encrypted_data[..16], &draft.encrypted_data[4..]] {
            drafts.push(("cut", Draft { encrypted_data: text.to_owned(), ..draft.clone() }));
        }
    }
    expect_indistinguishable(&app, drafts).await;
}

#[tokio::test]
async fn what_is_no_encrypted_body_is_refused_alike() {
    let (app, peer) = (app(&[]), Peer::new());
    let draft = peer.v2(&app, "/things", THING);
    let mut first = None;
    for text in [
        "no JSON",
        "[]",
        "{}",
        "null",
        r#"{"encrypted_data":7}"#,
        r#"{"encrypted_data":"A","encrypted_data":"B"}"#,
        THING,
    ] {
        for draft in [&draft, &peer.gcm("/things", THING), &peer.fernet(&app, "/things", THING)] {
            let mut request = draft.request(&app);
            *request.body_mut() = text.to_owned().into();
            let answer = app.send(request).await;
            answer.clone().expect_problem(400, "Failed to decrypt request data");
            let seen = seen(&answer);
            assert_eq!(*first.get_or_insert(seen.clone()), seen, "{text}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_call_is_refused() {
    let (app, peer) = (app(&[]), Peer::new());
    let draft = peer.v2(&app, "/things", THING);
    let other = |change: fn(&mut Draft)| {
        let mut draft = draft.clone();
        change(&mut draft);
        draft
    };
    let now = app.clock.now();
    let targeted = |target: &str, sender: &str| {
        let (target, sender) = (target.as_bytes(), sender.as_bytes());
        let binding = chassis::envelope::Binding { target, sender, ..binding(Direction::Request, "POST", "/things") };
        let sealed = peer.own.encrypt_v2(THING.as_bytes(), &binding, now).unwrap();
        Draft { encrypted_data: sealed.encrypted_data, ..draft.clone() }
    };
    let drafts = [
        ("path", other(|draft| draft.path = "/reports".into())),
        ("query", other(|draft| draft.path = "/things?x=1".into())),
        ("method", other(|draft| draft.method = Method::PUT)),
        ("target", targeted("order-service", CALLER)),
        ("sender", targeted(OWN.name, "order-service")),
        ("caller", draft.clone().with("x-service-name", Some("order-service"))),
        ("no caller", draft.clone().with("x-service-name", None)),
        ("key owner", draft.clone().with("x-encryption-service", Some("order-service"))),
        ("time", draft.clone().with("x-encryption-time", Some(&(now.as_second() - 1).to_string()))),
        ("no time", draft.clone().with("x-encryption-time", None)),
        ("time that is none", draft.clone().with("x-encryption-time", Some("now"))),
        ("key", draft.clone().with("x-encryption-key-id", Some("u1"))),
        ("unknown key", draft.clone().with("x-encryption-key-id", Some("u9"))),
        ("no key", draft.clone().with("x-encryption-key-id", None)),
        ("form", draft.clone().with("x-encrypted-payload", Some("true"))),
    ];
    expect_indistinguishable(&app, drafts).await;
    draft.send(&app).await.expect(200);
}

#[tokio::test]
async fn a_body_is_taken_once_and_while_it_is_fresh() {
    let (app, peer) = (app(&[]), Peer::new());
    let now = app.clock.now();
    let at = |seconds: i64| peer.v2_at(now + jiff::SignedDuration::from_secs(seconds), "/things", THING);
    let draft = peer.v2(&app, "/things", THING);
    draft.send(&app).await.expect(200);
    expect_indistinguishable(&app, [("replayed", draft), ("expired", at(-61)), ("ahead", at(61))]).await;
    for seconds in [-60, 60] {
        at(seconds).send(&app).await.expect(200);
    }
    let token = peer.fernet(&app, "/things", THING);
    app.clock.advance(Duration::from_secs(61));
    expect_indistinguishable(&app, [("an old token", token)]).await;
}

#[tokio::test]
async fn an_answer_that_is_sent_back_is_no_request() {
    let (app, peer) = (app(&[]), Peer::new());
    let answer = peer.v2(&app, "/things", THING).send(&app).await.expect(200);
    let of_answer = |name: &'static str| (name, answer.header(name).to_owned());
    let names = [
        "x-encrypted-payload",
        "x-encryption-service",
        "x-service-name",
        "x-target-service",
        "x-encryption-key-id",
        "x-encryption-time",
    ];
    let reflected = Draft {
        method: Method::POST,
        path: "/things".into(),
        headers: names.map(of_answer).into(),
        encrypted_data: encrypted_data(&answer),
    };
    let as_callers = reflected
        .clone()
        .with("x-service-name", Some(CALLER))
        .with("x-encryption-service", Some(CALLER))
        .with("x-target-service", Some(OWN.name));
    let gcm = peer.gcm("/things", THING).send(&app).await.expect(200);
    let of_gcm = Draft { encrypted_data: encrypted_data(&gcm), ..peer.gcm("/things", THING) };
    let own_gcm = of_gcm.clone().with("x-encryption-service", Some(OWN.name)).with("x-service-name", Some(OWN.name));
    let drafts = [("as it came", reflected), ("as the caller's", as_callers), ("gcm", of_gcm), ("own gcm", own_gcm)];
    expect_indistinguishable(&app, drafts).await;
}

#[tokio::test]
async fn keys_that_are_not_known_and_no_keys_at_all_look_the_same() {
    let (app, mut peer) = (app(&[]), Peer::new());
    peer.shared = ring("another-main-key");
    peer.own = ring("another-user-key");
    expect_indistinguishable(
        &app,
        [("fernet", peer.fernet(&app, "/things", THING)), ("gcm", peer.gcm("/things", THING))],
    )
    .await;
    let without = TestApp::start(service);
    let peer = Peer::new();
    let drafts = [
        ("v2", peer.v2(&without, "/things", THING)),
        ("fernet", peer.fernet(&without, "/things", THING)),
        ("gcm", peer.gcm("/things", THING)),
    ];
    expect_indistinguishable(&without, drafts).await;
}

#[tokio::test]
async fn two_encryption_headers_are_refused() {
    let (app, peer) = (app(&[]), Peer::new());
    let both = peer.v2(&app, "/things", THING).with("x-service-communication", Some("encrypted"));
    both.send(&app).await.expect_problem(400, "Two encryption headers at once");
    let draft = peer.fernet(&app, "/things", THING);
    for (name, value) in [("x-encrypted-payload", "true"), ("x-service-communication", "encrypted")] {
        let request = app.request(Method::POST, "/things").header("x-service-communication", "encrypted");
        let request = request.header(name, value).body(body(&draft.encrypted_data)).unwrap();
        app.send(request).await.expect_problem(400, "Two encryption headers at once");
    }
    for second in ["true", "false"] {
        let request = app.request(Method::GET, "/").header("x-encrypt-response", "true");
        let request = request.header("x-encrypt-response", second).body(Body::empty()).unwrap();
        app.send(request).await.expect_problem(400, "Two encryption headers at once");
    }
    let unknown = peer.v2(&app, "/things", THING).with("x-encrypted-payload", Some("v3"));
    let answer = unknown.send(&app).await.expect(400);
    assert!(answer.json()["detail"].as_str().unwrap().contains("expected X-Encrypted-Payload"), "{}", answer.text());
}

#[tokio::test]
async fn production_takes_no_body_that_anybody_may_send_again() {
    let (app, peer) = (app(PRODUCTION), Peer::new());
    expect_indistinguishable(&app, [("gcm", peer.gcm("/things", THING))]).await;
    peer.fernet(&app, "/things", THING).send(&app).await.expect(200);
    let settings = [PRODUCTION, &[("ALLOW_LEGACY_GCM", "true")]].concat();
    let allowed = super::kit::app(&settings);
    peer.gcm("/things", THING).send(&allowed).await.expect(200);
}

#[tokio::test]
async fn a_refusal_is_counted_and_nothing_of_the_body_is_logged() {
    let (app, peer) = (app(&[]), Peer::new());
    let draft = peer.v2(&app, "/things", THING);
    draft.send(&app).await.expect(200);
    draft.send(&app).await.expect(400);
    let log = app.access_log();
    assert!(log.contains("POST /things 400"), "{log}");
    assert!(!log.contains(&draft.encrypted_data) && !log.contains("secret") && !log.contains(SHARED), "{log}");
    let metrics = app.get("/metrics").await.expect(200).text();
    let counted = r#"http_server_rejected_requests_total{reason="encryption",service="analytics-service"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}
