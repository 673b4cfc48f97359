//! Who gets a token, and who is kept from guessing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::{PASSWORD, app, create, in_production, log_in, member, put, register};

const TEXT: &str = "Incorrect username or password";

#[tokio::test]
async fn wrong_unknown_inactive_and_without_a_password_are_the_same_401() {
    let app = app();
    let (id, _) = member(&app, "johnny").await;
    create(&app, "jane", "jane@example.com").await.expect(201);
    for (username, password) in [
        ("johnny", "a wrong password"),
        ("nobody", PASSWORD),
        ("jane", PASSWORD),
        ("johnny", ""),
        ("", ""),
        ("johnny", "short"),
    ] {
        log_in(&app, username, password).await.expect_problem(401, TEXT);
    }
    put(&app, &format!("/api/v1/users/{id}"), json!({ "is_active": false })).await.expect(200);
    log_in(&app, "johnny", PASSWORD).await.expect_problem(401, TEXT);
    put(&app, &format!("/api/v1/users/{id}"), json!({ "is_active": true })).await.expect(200);
    log_in(&app, "JOHNNY", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn what_is_no_login_is_422() {
    let app = app();
    for body in [json!({}), json!({ "username": "johnny" }), json!({ "username": null, "password": "x" }), json!([])] {
        app.post("/api/v1/users/login", body.to_string()).await.expect_problem(422, "Validation failed");
    }
    let huge = json!({ "username": "x".repeat(1 << 20), "password": "y".repeat(1 << 19) });
    app.post("/api/v1/users/login", huge.to_string()).await.expect_problem(401, TEXT);
}

#[tokio::test]
async fn who_guesses_waits_and_the_owner_at_home_does_not() {
    let app = in_production().from_peer("198.51.100.1");
    register(&app, "johnny", PASSWORD).await.expect(200);
    log_in(&app, "johnny", PASSWORD).await.expect(200);
    let app = app.from_peer("203.0.113.7");
    for _ in 0..10 {
        log_in(&app, "johnny", "a wrong password").await.expect_problem(401, TEXT);
    }
    let refused = log_in(&app, "johnny", PASSWORD).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    refused.expect_problem(429, "Too many failed logins, try again later");
    log_in(&app, "nobody", "a wrong password").await.expect_problem(401, TEXT);
    let app = app.from_peer("198.51.100.1");
    log_in(&app, "johnny", PASSWORD).await.expect(200);
    let app = app.from_peer("203.0.113.7");
    app.clock.advance(Duration::from_secs(wait));
    log_in(&app, "johnny", PASSWORD).await.expect(200);
}

/// A sign test: of interleaved pairs, about half must be slower for the known name, within four standard deviations.
#[tokio::test]
#[ignore = "the long run of `./test full`"]
async fn known_and_unknown_names_take_the_same_time() {
    const PAIRS: i32 = 2_000;
    let app = app();
    register(&app, "johnny", PASSWORD).await.expect(200);
    let mut known_slower = 0;
    for pair in 0..PAIRS {
        // Nobody is to wait for earlier guesses.
        app.clock.advance(Duration::from_secs(20 * 60));
        let mut times = [Duration::ZERO; 2];
        for place in [pair % 2, 1 - pair % 2] {
            let begun = Instant::now();
            log_in(&app, ["johnny", "nobody"][place as usize], "a wrong password").await.expect(401);
            times[place as usize] = begun.elapsed();
        }
        known_slower += i32::from(times[0] > times[1]);
    }
    let deviation = f64::from(known_slower - PAIRS / 2) / (f64::from(PAIRS) / 4.0).sqrt();
    println!("the known name was slower in {known_slower} of {PAIRS} pairs, {deviation:.1} standard deviations");
    assert!(deviation.abs() < 4.0, "{known_slower} of {PAIRS}");
}

#[tokio::test]
async fn unknown_accounts_are_guessed_at_no_faster() {
    let app = app().from_peer("203.0.113.7");
    for _ in 0..10 {
        log_in(&app, "nobody", "a wrong password").await.expect_problem(401, TEXT);
    }
    for spelling in ["NOBODY", "ｎobody", "ⓝⓞbody"] {
        log_in(&app, spelling, "a wrong password").await.expect(429);
    }
}
