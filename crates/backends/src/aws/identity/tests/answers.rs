//! What STS may answer.

use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use super::fake::{answer, caller};
use super::*;

const ACCOUNT: &str = "123456789012";

/// Shows a sound proof to a service whose STS answers this, whatever it is asked.
async fn verify(bytes: Vec<u8>) -> Result<ServiceIdentity, Failure> {
    let world = World::with(move |_| bytes.clone()).await;
    let verified = world.verify(&world.proof().await).await;
    assert_eq!(world.sts.count(), 1);
    verified
}

#[tokio::test]
async fn a_caller_that_is_no_allowed_role_is_refused() {
    for (arn, account, found) in [
        ("arn:aws:sts::999999999999:assumed-role/orders/s", "999999999999", "role/orders is not allowed"),
        ("arn:aws:sts::123456789012:assumed-role/orders-2/s", ACCOUNT, "role/orders-2 is not allowed"),
        ("arn:aws:sts::123456789012:assumed-role/Orders/s", ACCOUNT, "role/Orders is not allowed"),
        ("arn:aws-cn:sts::123456789012:assumed-role/orders/s", ACCOUNT, "is not allowed"),
        ("arn:aws:sts::123456789012:assumed-role/orders/s", "999999999999", "not that of a role"),
        ("arn:aws:iam::123456789012:user/orders", ACCOUNT, "not that of a role"),
        ("arn:aws:iam::123456789012:role/orders", ACCOUNT, "not that of a role"),
        ("arn:aws:iam::123456789012:root", ACCOUNT, "not that of a role"),
    ] {
        let Err(Failure::Refused(refusal)) = verify(answer(200, "", &caller(arn, account))).await else {
            panic!("{arn} of {account} is refused")
        };
        assert!(refusal.to_string().contains(found), "{refusal}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_one_to_this_question_proves_nothing() {
    let sound = caller(SESSION, ACCOUNT);
    let arn = format!("<Arn>{SESSION}</Arn>");
    let json = format!("{{\"GetCallerIdentityResponse\":{{\"GetCallerIdentityResult\":{{\"Arn\":\"{SESSION}\"}}}}}}");
    let reflected = format!("{{\"Message\": \"{sound}\"}}");
    for (status, headers, body) in [
        (200, "", json),
        (200, "", reflected),
        (200, "", sound.replace("GetCallerIdentity", "GetSessionToken")),
        (200, "", sound.replacen(&arn, &format!("{arn}{arn}"), 1)),
        (200, "", format!("{sound}{sound}")),
        (200, "", String::new()),
        (200, "content-encoding: gzip\r\n", sound.clone()),
        (200, "content-encoding: identity\r\ncontent-encoding: gzip\r\n", sound.clone()),
        (201, "", sound.clone()),
        (203, "", sound),
    ] {
        let verified = verify(answer(status, headers, &body)).await;
        assert!(
            matches!(verified, Err(Failure::Refused(Refusal::Answer(_)))),
            "{status} {headers}{body}: {verified:?}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeSts::start(|_| answer(200, "", &caller(SESSION, ACCOUNT))).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}/\r\n", elsewhere.url);
        let verified = verify(answer(status, &location, &caller(SESSION, ACCOUNT))).await;
        assert!(matches!(verified, Err(Failure::Refused(Refusal::Answer(_)))), "{status}: {verified:?}");
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn what_sts_refuses_is_refused_and_while_it_fails_nobody_can_tell() {
    let throttled = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
    let large = format!("{}{}", caller(SESSION, ACCOUNT), " ".repeat(16 * 1024));
    for status in [400, 403, 404] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(verify(answer(status.as_u16(), "", "")).await, refused(Refusal::BySts(status)));
    }
    for (status, body) in [(400, throttled), (429, ""), (500, ""), (503, ""), (200, large.as_str())] {
        let verified = verify(answer(status, "", body)).await;
        assert!(matches!(verified, Err(Failure::Unavailable(_))), "{status}: {verified:?}");
    }
}

#[tokio::test]
async fn a_proof_that_sts_could_not_judge_may_be_shown_again() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let world = World::with(move |request| match down.load(Ordering::Relaxed) {
        true => answer(500, "", ""),
        false => request.answer_as(SESSION),
    });
    let world = world.await;
    let proof = world.proof().await;
    assert!(matches!(world.verify(&proof).await, Err(Failure::Unavailable(_))));
    is_down.store(false, Ordering::Relaxed);
    world.verify(&proof).await.unwrap();
    assert_eq!(world.verify(&proof).await, refused(Refusal::Shown));
}
