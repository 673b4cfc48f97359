//! `keelson e2e`: one message through a system, with the five steps and the closing block of the original
//! end-to-end test.

mod target;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::config::FromText;
use chassis::ids::Ids;
use chassis::ports::MessageId;
use pipeline::archive::Sighting;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

pub(crate) use self::target::SETTINGS;
use self::target::Target;
use self::waiting::Waiting;
use super::http_client::no_answer;
use crate::cli::{Common, EndToEndArgs};
use crate::failure::Failure;
use crate::output::print_line;

/// How long the message may take, beside the wait for its roll-up.
const PATIENCE: Duration = Duration::from_secs(60);

const RULE: &str = "============================================================";

/// Sends, waits, verifies, cleans up.
pub(crate) async fn run(common: &Common, args: &EndToEndArgs) -> Result<(), Failure> {
    let asked = args.timeout.as_deref().map(|text| {
        let wrong = || Failure::usage(format!("--timeout {text}: expected {}", Duration::EXPECTED));
        Duration::from_text(text).ok_or_else(wrong)
    });
    let asked = asked.transpose()?;
    let target = target::find(common, args).await?;
    let patience = asked.unwrap_or(PATIENCE + target.rollup_age * 2);
    let mut waiting = Waiting::new(&target).await;
    let data = message(&target);
    let begun = Instant::now();

    print_line("[1/5] Sending message to Service 1 API...");
    let id = send(&target, &data).await?;
    print_line("\n[2/5] Message sent successfully to SQS\n");
    print_line("[3/5] Waiting for Service 2 to process message...");
    let Sighting { object: key, record: body, own_objects } = waiting.wait(&id, begun, patience).await?;
    let took = begun.elapsed().as_secs_f64();
    print_line("\n[4/5] Message found in S3!");
    print_line(&format!("      S3 Key: {key}\n      Processing time: ~{took:.2} seconds\n"));
    print_line("[5/5] Verifying S3 file content...");
    let verified = verify(&body, &data, &id);
    if verified.is_ok() {
        print_line("      Content verified successfully!\n");
    }
    print_line("[Cleanup] Deleting test file from S3...");
    for object in &own_objects {
        target
            .objects
            .delete(object)
            .await
            .map_err(|error| Failure::failed(format!("the test file stays: {error}")))?;
    }
    print_line(match own_objects.is_empty() {
        true => "         The test message stays: it shares its file with others\n",
        false => "         Test file deleted\n",
    });
    verified?;
    print_line(&format!(
        "{RULE}\nE2E TEST PASSED\n{RULE}\nMessage traveled successfully:\n  API (Service 1) → SQS → Service 2 → S3\nTotal processing time: ~{took:.2} seconds\n{RULE}"
    ));
    Ok(())
}

/// Unlike any other message, so that what is found is what was sent.
fn message(target: &Target) -> Value {
    let mark = Ids::new(Arc::clone(&target.clock)).uuid();
    json!({
        "email_subject": format!("E2E test {mark}"),
        "email_sender": "keelson e2e",
        "email_timestream": target.clock.now().as_second().to_string(),
        "email_content": "Grüße, 世界 🌍: 1.0, 12345678901234567890",
    })
}

async fn send(target: &Target, data: &Value) -> Result<MessageId, Failure> {
    let url = format!("{}/api/message", target.ingest);
    let body = json!({ "data": data, "token": target.token.expose_secret() });
    let answer = target.client.post(&url).json(&body).send().await.map_err(|error| no_answer(&url, &error))?;
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap_or_default();
    print_line(&format!("      Response status: {}", status.as_u16()));
    match answer["message_id"].as_str() {
        Some(id) if status.is_success() => {
            print_line(&format!("      Message ID: {id}"));
            Ok(MessageId(id.to_owned()))
        }
        _ => Err(Failure::failed(format!(
            "{url} answered {status}: {}",
            answer["detail"].as_str().unwrap_or("no detail")
        ))),
    }
}

/// The stored object has every member that was sent, and tells where it comes from.
fn verify(body: &[u8], data: &Value, id: &MessageId) -> Result<(), Failure> {
    let stored: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::failed(format!("the stored object is not JSON: {error}")))?;
    let sent = data.as_object().into_iter().flatten();
    for (name, value) in sent {
        if stored.get(name) != Some(value) {
            return Err(Failure::failed(format!("the stored object has another `{name}` than was sent")));
        }
    }
    if stored["_metadata"]["message_id"] != json!(id) {
        return Err(Failure::failed("the stored object does not tell its message id under `_metadata`"));
    }
    Ok(())
}
