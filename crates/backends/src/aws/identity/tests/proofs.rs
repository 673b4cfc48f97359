//! What callers may show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::auth::{ServiceAuthenticator as _, Unverified};
use http::StatusCode;

use super::super::AUDIENCE_HEADER;
use super::super::proof::{NONCE_HEADER, authorization};
use super::super::sts::CONTENT_TYPE;
use super::*;

const BY_STS: Refusal = Refusal::BySts(StatusCode::FORBIDDEN);

#[tokio::test]
async fn a_proof_tells_the_role_and_its_scopes_by_one_request() {
    let world = World::new().await;
    let identity = world.verify(&world.proof().await).await.unwrap();
    assert_eq!(identity.subject, "arn:aws:iam::123456789012:role/orders");
    assert_eq!(identity.scopes, ["users:read"]);
    let received = world.sts.received();
    let [request] = &received[..] else { panic!("{} requests", world.sts.count()) };
    assert_eq!(request.line, "POST / HTTP/1.1");
    assert_eq!(request.body, b"Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(request.header("host"), world.sts.url.strip_prefix("http://"));
    assert_eq!((request.header("accept"), request.header("accept-encoding")), (Some("text/xml"), Some("identity")));
    assert_eq!(request.header("x-keelson-audience"), Some(HERE));
}

#[tokio::test]
async fn a_proof_is_good_once_and_another_one_of_the_same_second_is_good_too() {
    let world = World::new().await;
    let proof = world.proof().await;
    world.verify(&proof).await.unwrap();
    assert_eq!(world.verify(&proof).await, refused(Refusal::Shown));
    world.clock.advance(899 * SECOND);
    assert_eq!(world.verify(&proof).await, refused(Refusal::Shown));
    assert_eq!(world.sts.count(), 1);
    let (one, other) = (world.proof().await, world.proof().await);
    assert!(world.verify(&one).await.is_ok() && world.verify(&other).await.is_ok());
}

#[tokio::test]
async fn of_two_that_show_one_proof_at_once_one_is_known() {
    let world = World::new().await;
    let proof = world.proof().await;
    let (one, other) = tokio::join!(world.verify(&proof), world.verify(&proof));
    assert_eq!([&one, &other].iter().filter(|verified| verified.is_ok()).count(), 1);
    assert_eq!(world.sts.count(), 1);
}

#[tokio::test]
async fn a_proof_for_one_service_is_worth_nothing_at_another() {
    let world = World::new().await;
    let elsewhere = world.make(credentials(), "order-service").await.unwrap();
    assert_eq!(world.verify(&elsewhere).await, refused(Refusal::Audience));
    assert_eq!(world.sts.count(), 0);
    // Told that it is for this one, STS finds that this was not signed.
    let mut proof = Proof::read(elsewhere.as_bytes()).unwrap();
    proof.x_keelson_audience = HERE.into();
    assert_eq!(world.verify(&proof.write().unwrap()).await, refused(BY_STS));
    assert_eq!(world.sts.count(), 1);
}

#[tokio::test]
async fn a_proof_that_was_signed_for_another_action_is_refused_by_sts() {
    let world = World::new().await;
    let body = b"Action=GetSessionToken&Version=2011-06-15";
    let place = world.place();
    let forged = world.verify_changed(|proof| {
        let nonce = proof.x_keelson_nonce.clone();
        let headers = [("content-type", CONTENT_TYPE), (AUDIENCE_HEADER, HERE), (NONCE_HEADER, nonce.as_str())];
        let now = chassis::clock::Clock::now(&*world.clock);
        proof.authorization = authorization(credentials(), &place, now, headers, body).unwrap();
    });
    assert_eq!(forged.await, refused(BY_STS));
    assert_eq!(world.sts.count(), 1);
    assert_eq!(world.sts.received()[0].body, b"Action=GetCallerIdentity&Version=2011-06-15");
}

/// What is done to a sound proof, and what is found then.
type Change = (fn(&mut Proof), Refusal);

fn replace(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{from}");
    *text = text.replacen(from, to, 1);
}

const CHANGES: [Change; 20] = [
    (|it| it.host = "sts.evil.example".into(), Refusal::Host),
    (|it| it.host.push('.'), Refusal::Host),
    (|it| it.content_type = "application/json".into(), Refusal::Malformed),
    (|it| it.x_keelson_audience.make_ascii_uppercase(), Refusal::Audience),
    (|it| it.x_keelson_audience.push(' '), Refusal::Audience),
    (|it| it.x_amz_security_token.push(' '), Refusal::Malformed),
    (|it| it.x_amz_security_token.clear(), Refusal::Malformed),
    (|it| it.x_amz_security_token.push_str("\r\nx-evil: 1"), Refusal::Malformed),
    (|it| it.x_keelson_nonce.make_ascii_uppercase(), Refusal::Malformed),
    (|it| it.x_amz_date = "2025-06-09T10:30:45Z".into(), Refusal::Malformed),
    (|it| it.x_amz_date.push(' '), Refusal::Malformed),
    (|it| replace(&mut it.authorization, ";x-keelson-audience", ""), Refusal::Unsigned),
    (|it| replace(&mut it.authorization, ";x-keelson-nonce", ""), Refusal::Unsigned),
    (|it| replace(&mut it.authorization, "x-amz-date;", "x-amz-date;x-amz-meta;"), Refusal::Unsigned),
    (|it| replace(&mut it.authorization, "/eu-west-1/", "/us-east-1/"), Refusal::Scope),
    (|it| replace(&mut it.authorization, "/sts/", "/iam/"), Refusal::Scope),
    (|it| replace(&mut it.authorization, "/20250609/", "/20250608/"), Refusal::Scope),
    (|it| replace(&mut it.authorization, "AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "), Refusal::Malformed),
    (|it| replace(&mut it.authorization, "Signature=", "Signature=A"), Refusal::Malformed),
    (|it| it.authorization.push_str(", Signature=0"), Refusal::Malformed),
];

#[tokio::test]
async fn a_proof_that_is_not_as_it_has_to_be_is_refused_and_sts_is_not_asked() {
    let world = World::new().await;
    for (number, (change, refusal)) in CHANGES.into_iter().enumerate() {
        // The nonce has letters but for one time in three million.
        assert_eq!(world.verify_changed(change).await, refused(refusal), "change {number}");
    }
    assert_eq!(world.sts.count(), 0);
}

#[tokio::test]
async fn a_proof_with_anything_more_or_less_than_its_headers_is_none() {
    let world = World::new().await;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(world.proof().await).unwrap()).unwrap();
    let added = |member: &str| text.replacen('{', &format!("{{{member},"), 1);
    for changed in [
        added(r#""x-evil": "unsigned""#),
        added(r#""url": "https://sts.evil.example/""#),
        added(r#""body": "Action=GetSessionToken""#),
        added(r#""host": "sts.evil.example""#),
        added(r#""Host": "sts.evil.example""#),
        text.replacen("\"x-keelson-audience\"", "\"x-keelson-other\"", 1),
        format!("{text}{text}"),
        "{}".to_owned(),
        String::new(),
    ] {
        assert_eq!(world.verify(&URL_SAFE_NO_PAD.encode(&changed)).await, refused(Refusal::Malformed), "{changed}");
    }
    assert_eq!(world.verify(&text).await, refused(Refusal::Malformed));
    let padded = format!("{text}{}", " ".repeat(8 * 1024));
    assert_eq!(world.verify(&URL_SAFE_NO_PAD.encode(padded)).await, refused(Refusal::TooLong));
    assert_eq!(world.sts.count(), 0);
    world.verify(&URL_SAFE_NO_PAD.encode(text)).await.unwrap();
}

#[tokio::test]
async fn a_proof_is_good_for_15_minutes_and_from_no_time_that_lies_ahead() {
    let world = World::new().await;
    let (early, late) = (world.proof().await, world.proof().await);
    world.clock.advance(900 * SECOND);
    world.verify(&early).await.unwrap();
    world.clock.advance(SECOND);
    assert_eq!(world.verify(&late).await, refused(Refusal::Old));
    assert_eq!(world.verify(&early).await, refused(Refusal::Old));
    assert_eq!(world.sts.count(), 1);

    let (behind, caller) = (World::new().await, World::new().await);
    caller.clock.advance(61 * SECOND);
    let settings = behind.settings();
    let aws = Aws::with_credentials(settings, SharedCredentialsProvider::new(credentials()));
    let proofs = RoleProofs::new(aws, Arc::clone(&caller.clock) as _).unwrap();
    let ahead = proofs.make(HERE).await.unwrap();
    assert_eq!(behind.verify(ahead.expose_secret()).await, refused(Refusal::Ahead));
    behind.clock.advance(SECOND);
    behind.verify(ahead.expose_secret()).await.unwrap();
}

#[tokio::test]
async fn a_proof_from_before_the_process_began_may_have_been_shown_and_is_refused() {
    let world = World::new().await;
    let proof = world.proof().await;
    world.verify(&proof).await.unwrap();
    world.clock.advance(SECOND);
    let restarted = authenticator(&world.sts, &world.clock);
    assert_eq!(restarted.verify(proof.as_bytes()).await, refused(Refusal::Unremembered));
    restarted.verify(world.proof().await.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn credentials_of_a_user_make_no_proof() {
    let world = World::new().await;
    let user = Credentials::new("AKIAANN", "the-secret-of-ann", None, None, "tests");
    assert!(matches!(world.make(user, HERE).await, Err(NoProof::NoRole)));
    let other = Credentials::new("ASIAOTHER", "another-secret", Some("the/token+of==orders".into()), None, "tests");
    let forged = world.make(other, HERE).await.unwrap();
    assert_eq!(world.verify(&forged).await, refused(BY_STS));
}

#[tokio::test]
async fn nothing_of_a_proof_is_printed() {
    let world = World::new().await;
    let proof = Proof::read(world.proof().await.as_bytes()).unwrap();
    let shown = format!("{proof:?}");
    assert!(!shown.contains(&proof.x_amz_security_token) && !shown.contains(&proof.authorization), "{shown}");
    let unverified = world.authenticator.authenticate(b"no-proof").await.unwrap_err();
    assert_eq!(unverified, Unverified::Refused("it is no proof of a role".into()));
}
