//! The rules of the service, for messages that do not go through it.

use pipeline::model::error::IngestError;
use pipeline::model::message::MessageRequest;

/// What goes onto the queue, checked as `POST /api/message` does it. No token is asked for: who may open the queue may
/// read the token too.
pub(super) fn queue_body(data: &str) -> Result<String, String> {
    let request = format!(r#"{{"data":{data},"token":""}}"#);
    let checked = MessageRequest::parse(request.as_bytes()).and_then(MessageRequest::into_queue_body);
    checked.map_err(|error| told(&error))
}

pub(super) fn too_large() -> String {
    IngestError::TooLarge.to_string()
}

/// The text of the error, with what is wrong where.
fn told(error: &IngestError) -> String {
    let place = |loc: &[&'static str]| loc.last().copied().unwrap_or_default();
    let named: Vec<_> = error.errors().iter().map(|field| format!("{}: {}", place(&field.loc), field.msg)).collect();
    if named.is_empty() { error.to_string() } else { format!("{error} ({})", named.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_as_written_or_refused_with_the_reason_of_the_service() {
        let good = r#"{"email_subject":"s","email_sender":"a","email_timestream":"1","email_content":"x","n":1.0}"#;
        assert_eq!(queue_body(good).as_deref(), Ok(good));
        for (data, reason) in [
            ("1", "Validation failed (data: Input should be a valid dictionary)"),
            ("{}", "Missing required fields in data: email_subject, email_sender, email_timestream, email_content"),
            (
                r#"{"email_subject":"","email_sender":"a","email_timestream":"1","email_content":"x"}"#,
                "Validation failed (email_subject: String should have at least 1 character)",
            ),
        ] {
            assert_eq!(queue_body(data), Err(reason.to_owned()));
        }
    }
}
