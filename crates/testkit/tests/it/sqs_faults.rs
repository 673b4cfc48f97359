//! Each fault, as a client of SQS meets it.

use std::time::{Duration, Instant};

use aws_sdk_sqs::error::DisplayErrorContext;
use testkit::aws::{Entries, Fake, Fault, Outcome, Service, Settings};
use tokio::time::timeout;

use crate::clients::{PATIENCE, bodies, code, entries, receive, send, sqs};

#[tokio::test]
async fn throttling_strikes_so_many_calls_of_one_action_and_no_other() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let fault = fake.inject(Fault::throttle().on("SendMessage").times(2));
    let try_send = || client.send_message().queue_url(&url).message_body("x").send();
    for _ in 0..2 {
        assert!(receive(&client, &url).await.is_empty());
        let error = try_send().await.unwrap_err();
        assert_eq!(code(&error), "RequestThrottled");
        assert!(error.into_service_error().is_request_throttled());
    }
    try_send().await.unwrap();
    assert_eq!((fake.struck(fault), fake.calls("SendMessage"), fake.calls_to(Service::Sqs)), (2, 3, 5));
    let refused = Outcome::Refused(403, "RequestThrottled".to_owned());
    assert_eq!(fake.call_log().iter().filter(|call| call.outcome == refused).count(), 2);
    fake.reset_calls();
    assert_eq!((fake.call_counts().total, fake.call_log().len()), (0, 0));
}

#[tokio::test]
async fn an_error_has_the_status_and_code_that_were_asked_for() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    for (status, wanted) in
        [(503, "ServiceUnavailable"), (403, "AccessDeniedException"), (400, "KMS.DisabledException")]
    {
        let fault = fake.inject(Fault::error(status, wanted).on_service(Service::Sqs));
        let error = client.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(code(&error), wanted);
        assert!(fake.heal(fault));
    }
    send(&client, &url, "healed").await;
    assert_eq!(fake.depth("orders"), 1);
}

#[tokio::test]
async fn a_lost_response_leaves_the_message_and_a_lost_request_does_not() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    for (fault, outcome, left) in
        [(Fault::no_answer(), Outcome::Unanswered, 1), (Fault::drop_connection(), Outcome::Dropped, 0)]
    {
        client.purge_queue().queue_url(&url).send().await.unwrap();
        fake.inject(fault.times(1));
        let error = client.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
        assert!(error.raw_response().is_none(), "{}", DisplayErrorContext(&error));
        assert_eq!(fake.depth("orders"), left);
        assert_eq!(fake.call_log().last().unwrap().outcome, outcome);
    }
}

#[tokio::test]
async fn a_stalled_call_is_done_late_and_a_late_answer_is_of_a_call_that_is_done() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    for (fault, done_at_once) in [(Fault::stall(PATIENCE), false), (Fault::late_answer(PATIENCE), true)] {
        client.purge_queue().queue_url(&url).send().await.unwrap();
        let fault = fake.inject(fault.on("SendMessage").times(1));
        let mut sending = Box::pin(client.send_message().queue_url(&url).message_body("x").send());
        while fake.struck(fault) == 0 {
            assert!(timeout(Duration::from_millis(5), &mut sending).await.is_err());
        }
        // The call leaves the lock a moment after the fault has counted it.
        let began = Instant::now();
        while done_at_once && fake.depth("orders") == 0 && began.elapsed() < PATIENCE / 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(fake.depth("orders"), usize::from(done_at_once));
        // A client that hangs up ends the stall, and what was not done is never done.
        drop(sending);
    }
    let fault = fake.inject(Fault::stall(Duration::from_millis(50)));
    let began = Instant::now();
    send(&client, &url, "stalled").await;
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(fake.struck(fault), 1);
}

#[tokio::test]
async fn entries_of_a_batch_fail_as_told_and_the_others_are_sent() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let batch = || client.send_message_batch().queue_url(&url).set_entries(Some(entries(10))).send();
    fake.inject(Fault::fail_entries(Entries::First(3), "InternalError").on("SendMessageBatch").times(1));
    let answer = batch().await.unwrap();
    let failed: Vec<_> =
        answer.failed.iter().map(|entry| (entry.id.as_str(), entry.code.as_str(), entry.sender_fault)).collect();
    assert_eq!(failed, [("0", "InternalError", false), ("1", "InternalError", false), ("2", "InternalError", false)]);
    assert_eq!((answer.successful.len(), fake.depth("orders")), (7, 7));
    assert_eq!(fake.call_log()[0].failed, 3);

    fake.inject(Fault::fail_entries_of_sender(Entries::All, "InvalidMessageContents").times(1));
    let answer = batch().await.unwrap();
    assert!(answer.successful.is_empty() && answer.failed.iter().all(|entry| entry.sender_fault));
    fake.inject(Fault::fail_entries(Entries::Each(0.5), "InternalError").times(20));
    let mut failed = 0;
    for _ in 0..20 {
        failed += batch().await.unwrap().failed.len();
    }
    assert!((50..=150).contains(&failed), "{failed} of 200");
}

#[tokio::test]
async fn a_message_is_delivered_twice_and_only_the_newer_handle_deletes_it() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    fake.inject(Fault::deliver_twice().on("ReceiveMessage").times(1));
    let (first, second) = (receive(&client, &url).await, receive(&client, &url).await);
    assert_eq!(first[0].message_id, second[0].message_id);
    assert_ne!(first[0].receipt_handle, second[0].receipt_handle);
    for (messages, left) in [(first, 1), (second, 0)] {
        let handle = messages[0].receipt_handle().unwrap();
        client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
        assert_eq!(fake.depth("orders"), left);
    }
}

#[tokio::test]
async fn a_forgotten_delete_brings_the_message_back() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    fake.inject(Fault::forget_delete().times(1));
    for left in [1, 0] {
        let messages = receive(&client, &url).await;
        let handle = messages[0].receipt_handle().unwrap();
        client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
        assert_eq!(fake.depth("orders"), left);
        fake.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_disturbed_receive_keeps_every_message_but_not_their_order() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let sent: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    sent.iter().for_each(|body| drop(fake.send("orders", body, &[])));
    fake.inject(Fault::reorder().on("ReceiveMessage"));
    let mut received = Vec::new();
    for _ in 0..4 {
        received.extend(bodies(&receive(&client, &url).await).into_iter().map(str::to_owned));
    }
    assert_ne!(received, sent);
    received.sort_by_key(|body| body.parse::<u32>().unwrap());
    assert_eq!(received, sent);
}

#[tokio::test]
async fn chance_follows_the_seed_and_faults_can_wait_and_pick_their_queue() {
    let pattern = async |seed| {
        let fake = Fake::start_with(Settings { seed, ..Settings::default() }).await;
        let client = sqs(&fake).await;
        let (url, other) = (fake.create_queue("orders"), fake.create_queue("others"));
        fake.inject(Fault::throttle().on_resource("orders").after(5).with_chance(0.5));
        let mut refused = Vec::new();
        for number in 0..40 {
            send(&client, &other, "never struck").await;
            let sent = client.send_message().queue_url(&url).message_body("x").send().await;
            assert!(number >= 5 || sent.is_ok(), "struck too early");
            refused.push(sent.is_err());
        }
        refused
    };
    let (first, again, other) = (pattern(1).await, pattern(1).await, pattern(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!((5..=30).contains(&first.iter().filter(|refused| **refused).count()));
}
