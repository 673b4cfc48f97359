//! One mail becomes the `data` of `POST /api/message`. No I/O, and nothing is invented: what is taken from elsewhere
//! than its own header is named in `email_substituted`.

use jiff::Timestamp;
use mail_parser::{
    Addr, Address, DateTime, Header, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType,
};
use serde_json::{Map, Value, json};

const NO_SUBJECT: &str = "(no subject)";
const NO_TEXT: &str = "(no text)";

/// Mails inside mails whose text is looked at.
const MAX_DEPTH: usize = 4;

/// What is known of a mail from outside it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outside<'a> {
    /// The line before it in an mbox: `From ann@example.com Mon Jan  1 10:00:00 2024`.
    pub(crate) from_line: Option<&'a str>,
    /// The time of its file, when the user allows it.
    pub(crate) file_time: Option<Timestamp>,
}

/// A text, and where it comes from when that is not its own header.
struct Found(String, Option<&'static str>);

impl Found {
    fn own(text: impl Into<String>) -> Self {
        Self(text.into(), None)
    }

    fn from(source: &'static str, text: impl Into<String>) -> Self {
        Self(text.into(), Some(source))
    }
}

/// The members of `data`.
///
/// # Errors
/// Why it is no mail, or what it lacks.
pub(crate) fn data(raw: &[u8], outside: Outside<'_>) -> Result<Map<String, Value>, &'static str> {
    let mail = MessageParser::default().parse(raw).ok_or("no mail: it has no headers")?;
    let is_known = |header: &Header<'_>| !matches!(header.name, HeaderName::Other(_));
    if !mail.headers().iter().any(is_known) {
        return Err("no mail: it has none of a mail's headers");
    }
    let fields = [
        ("email_subject", subject(&mail)),
        ("email_sender", sender(&mail, outside).ok_or("it has no sender: no From, Sender or Return-Path")?),
        (
            "email_timestream",
            date(&mail, outside)
                .ok_or("it has no date: no Date and no Received with one; --file-time would take that of the file")?,
        ),
        ("email_content", content(&mail, 0).unwrap_or_else(|| Found::from("placeholder", NO_TEXT))),
    ];
    let mut data = Map::new();
    let mut substituted = Map::new();
    for (name, Found(text, from)) in fields {
        data.insert(name.to_owned(), Value::String(text));
        substituted.extend(from.map(|from| (name.to_owned(), from.into())));
    }
    let mut extra = |name: &str, value: Option<Value>| data.extend(value.map(|value| (name.to_owned(), value)));
    extra("email_recipients", recipients(&mail));
    extra("email_message_id", mail.message_id().and_then(filled).map(Value::from));
    extra("email_attachments", attachments(&mail));
    extra("email_substituted", (!substituted.is_empty()).then_some(Value::Object(substituted)));
    Ok(data)
}

/// The text, unless there is nothing to see.
fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// The text of a header as it stands there, on one line.
fn raw_header(mail: &Message<'_>, name: &HeaderName<'_>) -> Option<Found> {
    let header = mail.headers().iter().rfind(|header| header.name == *name)?;
    let bytes = mail.raw_message.get(header.offset_start as usize..header.offset_end as usize)?;
    let text = String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| Found::own(text))
}

fn subject(mail: &Message<'_>) -> Found {
    mail.subject().and_then(filled).map_or_else(|| Found::from("placeholder", NO_SUBJECT), Found::own)
}

fn sender(mail: &Message<'_>, outside: Outside<'_>) -> Option<Found> {
    let from = || mail.from().and_then(first_address).map(Found::own);
    let sender = || mail.sender().and_then(first_address).map(|text| Found::from("Sender", text));
    let path = || mail.return_address().and_then(filled).map(|text| Found::from("Return-Path", text));
    let line = || envelope(outside.from_line?).0.map(|text| Found::from("From_ line", text));
    from().or_else(|| raw_header(mail, &HeaderName::From)).or_else(sender).or_else(path).or_else(line)
}

fn date(mail: &Message<'_>, outside: Outside<'_>) -> Option<Found> {
    let own = || mail.date().and_then(time).map(Found::own);
    // The first one is the latest: when the mail arrived.
    let arrivals = || mail.headers().iter().filter_map(|header| header.value.as_received()?.date);
    let arrived = || arrivals().find_map(|date| time(&date)).map(|text| Found::from("Received", text));
    let line = || envelope(outside.from_line?).1.map(|text| Found::from("From_ line", text));
    let file = || outside.file_time.map(|time| Found::from("file time", time.to_string()));
    own().or_else(|| raw_header(mail, &HeaderName::Date)).or_else(arrived).or_else(line).or_else(file)
}

/// The parser takes more than the calendar has; what it made of a text must be a time.
fn time(date: &DateTime) -> Option<String> {
    Some(date.to_rfc3339()).filter(|text| text.parse::<Timestamp>().is_ok())
}

/// Sender and date of a `From_` line; each may be missing.
fn envelope(line: &str) -> (Option<&str>, Option<&str>) {
    let rest = line.strip_prefix("From ").unwrap_or("").trim();
    let (sender, date) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    (filled(sender).filter(|sender| *sender != "-"), filled(date))
}

/// All text parts; HTML turned into text where there is no other. Without any, the text of an attached mail, or the body
/// as it stands, when it is a multipart without its boundaries or of a type that does not exist.
fn content(mail: &Message<'_>, depth: usize) -> Option<Found> {
    let parts = (0..mail.text_body_count()).filter_map(|part| mail.body_text(part));
    let parts: Vec<_> = parts.filter(|text| filled(text).is_some()).collect();
    if !parts.is_empty() {
        return Some(Found::own(parts.join("\n")));
    }
    if depth == MAX_DEPTH {
        return None;
    }
    let mut attached = mail.attachments().filter_map(|part| content(part.message()?, depth + 1));
    let attached = attached.next().map(|Found(text, _)| Found::from("attached message", text));
    attached.or_else(|| raw_body(mail))
}

fn raw_body(mail: &Message<'_>) -> Option<Found> {
    let body = mail.root_part();
    let is_text = body.content_type().is_none_or(|it| matches!(it.ctype(), "text" | "multipart"));
    if !is_text || body.is_multipart() || body.contents().contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(body.contents()).into_owned();
    filled(&text).is_some().then(|| Found::from("raw body", text))
}

fn first_address(addresses: &Address<'_>) -> Option<String> {
    addresses.iter().find_map(shown_address)
}

fn shown_address(address: &Addr<'_>) -> Option<String> {
    match (address.name().and_then(filled), address.address().and_then(filled)) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

fn recipients(mail: &Message<'_>) -> Option<Value> {
    let addresses = mail.all_to().chain(mail.all_cc()).flat_map(Address::iter);
    let all: Vec<_> = addresses.filter_map(shown_address).collect();
    (!all.is_empty()).then(|| all.into())
}

/// What they are, not what is in them.
fn attachments(mail: &Message<'_>) -> Option<Value> {
    let all: Vec<_> = mail.attachments().map(attachment).collect();
    (!all.is_empty()).then(|| all.into())
}

fn attachment(part: &MessagePart<'_>) -> Value {
    // In a digest a part without a type is a mail.
    let untyped = if part.is_message() { "message/rfc822" } else { "text/plain" };
    let content_type = part.content_type().map_or_else(
        || untyped.to_owned(),
        |it| [Some(it.ctype()), it.subtype()].into_iter().flatten().collect::<Vec<_>>().join("/").to_ascii_lowercase(),
    );
    let name = part.attachment_name().or_else(|| part.message()?.subject());
    let size_bytes = match &part.body {
        PartType::Message(_) => part.raw_end_offset().saturating_sub(part.raw_body_offset()) as usize,
        _ => part.len(),
    };
    json!({ "name": name, "content_type": content_type, "size_bytes": size_bytes })
}

#[cfg(test)]
#[path = "mail/tests.rs"] // said, since the fuzz target takes this file from elsewhere
mod tests;
