//! What is encrypted is understood, and answered in the same form.

use axum::body::Body;
use http::Method;
use serde_json::json;

use super::kit::{Peer, app, encrypted_data};

const THING: &str = r#"{"name":"secret thing"}"#;

#[tokio::test]
async fn a_request_in_v2_is_answered_in_v2_with_the_key_of_the_service() {
    let (app, peer) = (app(&[]), Peer::new());
    let answer = peer.v2(&app, "/things?x=1", THING).send(&app).await.expect(200);
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    assert_eq!(answer.header("x-encryption-key-id"), "a1");
    assert_eq!(peer.read_v2(&app, &answer, "POST", "/things?x=1"), json!({"name": "secret thing"}));
}

#[tokio::test]
async fn an_older_key_of_the_caller_still_counts() {
    let (app, mut peer) = (app(&[]), Peer::new());
    peer.own = super::kit::ring(r#"{"u1":"dXNlci1rZXktMS11c2VyLWtleS0xLXVzZXIta2V5LTE="}"#);
    let answer = peer.v2(&app, "/things", THING).send(&app).await.expect(200);
    assert_eq!(peer.read_v2(&app, &answer, "POST", "/things")["name"], "secret thing");
}

#[tokio::test]
async fn old_peers_are_answered_in_their_own_form() {
    let (app, peer) = (app(&[]), Peer::new());
    let answer = peer.fernet(&app, "/things", THING).send(&app).await.expect(200);
    assert_eq!(peer.read_fernet(&app, &answer)["name"], "secret thing");
    let answer = peer.gcm("/things", THING).send(&app).await.expect(200);
    assert_eq!(peer.read_gcm(&answer)["name"], "secret thing");
}

#[tokio::test]
async fn a_bare_fernet_token_is_taken_too() {
    use base64::Engine as _;
    let (app, peer) = (app(&[]), Peer::new());
    let mut draft = peer.fernet(&app, "/things", THING);
    let token = base64::engine::general_purpose::URL_SAFE.decode(&draft.encrypted_data).unwrap();
    draft.encrypted_data = String::from_utf8(token).unwrap();
    draft.send(&app).await.expect(200);
}

#[tokio::test]
async fn errors_are_encrypted_too_and_the_body_is_judged_after_it_was_decrypted() {
    let (app, peer) = (app(&[]), Peer::new());
    for (plain, status, detail) in [(r#"{"name":7}"#, 422, "Validation failed"), ("no JSON", 422, "Validation failed")]
    {
        let answer = peer.v2(&app, "/things", plain).send(&app).await.expect(status);
        assert_eq!(peer.read_v2(&app, &answer, "POST", "/things")["detail"], detail);
        let answer = peer.fernet(&app, "/things", plain).send(&app).await.expect(status);
        assert_eq!(peer.read_fernet(&app, &answer)["detail"], detail);
        let answer = peer.gcm("/things", plain).send(&app).await.expect(status);
        assert_eq!(peer.read_gcm(&answer)["detail"], detail);
    }
    let answer = peer.v2(&app, "/nowhere", THING).send(&app).await.expect(404);
    let problem = peer.read_v2(&app, &answer, "POST", "/nowhere");
    assert_eq!((&problem["detail"], &problem["instance"]), (&json!("Not Found"), &json!("/nowhere")));
    assert_eq!(problem["correlation_id"], answer.header("x-correlation-id"));
}

#[tokio::test]
async fn a_request_without_a_body_is_answered_in_its_form() {
    let (app, peer) = (app(&[]), Peer::new());
    let get = |name: &'static str, value: &'static str| {
        app.request(Method::GET, "/things/one").header(name, value).body(Body::empty()).unwrap()
    };
    let answer = app.send(get("x-service-communication", "encrypted")).await.expect(200);
    assert_eq!(peer.read_fernet(&app, &answer)["name"], "one");
    let answer = app.send(get("x-encrypted-payload", "true")).await.expect(200);
    assert_eq!(peer.read_gcm(&answer)["name"], "one");
}

#[tokio::test]
async fn what_says_that_it_is_not_encrypted_is_not() {
    let app = app(&[]);
    for (name, value) in
        [("x-service-communication", "plain"), ("x-encrypted-payload", "false"), ("x-encrypt-response", "false")]
    {
        let request =
            app.request(Method::POST, "/things").header("content-type", "application/json").header(name, value);
        let answer = app.send(request.body(THING.into()).unwrap()).await.expect(200);
        assert_eq!(answer.json()["name"], "secret thing", "{name}");
    }
}

#[tokio::test]
async fn the_answer_to_head_and_one_without_a_body_stay_without() {
    let app = app(&[]);
    for (method, path, status) in [(Method::HEAD, "/things/one", 200), (Method::DELETE, "/things", 204)] {
        let request = super::kit::asking(&app, method, path).header("x-encryption-key-id", "a1");
        let answer = app.send(request.body(Body::empty()).unwrap()).await.expect(status);
        assert!(answer.body.is_empty(), "{path}");
        assert_eq!(answer.header("content-length"), "", "it tells how long the plain one is");
    }
}

#[tokio::test]
async fn an_empty_answer_is_encrypted_too() {
    let (app, peer) = (app(&[]), Peer::new());
    let answer = app.send(super::kit::asking(&app, Method::GET, "/nothing").body(Body::empty()).unwrap()).await;
    let answer = answer.expect(200);
    assert_eq!(answer.header("x-encrypted-payload"), "true");
    assert!(peer.callee.decrypt_gcm(encrypted_data(&answer).as_bytes()).unwrap().is_empty());
}

#[tokio::test]
async fn a_service_with_another_name_is_called_by_either() {
    let renamed = |context: &chassis::service::Context| {
        let context = super::kit::with_keys(context, super::kit::keys(context));
        super::kit::service(&chassis::service::Context { name: Some("events-eu".into()), ..context })
    };
    let (app, peer) = (chassis::testing::TestApp::start(renamed), Peer::new());
    peer.v2(&app, "/things", THING).send(&app).await.expect(200);
    let now = chassis::clock::Clock::now(&*app.clock);
    let binding = chassis::envelope::Binding {
        target: b"events-eu",
        ..super::kit::binding(chassis::envelope::Direction::Request, "POST", "/things")
    };
    let sealed = peer.own.encrypt_v2(THING.as_bytes(), &binding, now).unwrap();
    let draft = super::kit::Draft { encrypted_data: sealed.encrypted_data, ..peer.v2(&app, "/things", THING) };
    let answer = draft.with("x-target-service", Some("events-eu")).send(&app).await.expect(200);
    assert_eq!(answer.header("x-service-name"), "events-eu");
}

#[tokio::test]
async fn whoever_names_no_owner_of_the_key_owns_it() {
    let (app, peer) = (app(&[]), Peer::new());
    let v2 = peer.v2(&app, "/things", THING).with("x-encryption-service", None);
    peer.read_v2(&app, &v2.send(&app).await.expect(200), "POST", "/things");
    let gcm = peer.gcm("/things", THING);
    peer.read_gcm(&gcm.clone().with("x-encryption-service", None).send(&app).await.expect(200));
    peer.read_gcm(&gcm.with("x-service-name", Some("order-service")).send(&app).await.expect(200));
}

#[tokio::test]
async fn a_body_of_a_megabyte_travels_both_ways() {
    let (app, peer) = (app(&[]), Peer::new());
    let name = "x".repeat(1 << 20);
    let answer = peer.v2(&app, "/things", &json!({ "name": name }).to_string()).send(&app).await.expect(200);
    assert!(encrypted_data(&answer).len() > name.len());
    assert_eq!(peer.read_v2(&app, &answer, "POST", "/things")["name"].as_str().unwrap(), name);
}
