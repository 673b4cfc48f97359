//! What a message was before it moved between a queue and its dead-letter queue.
//!
//! A message that is sent again has a new id and a new time of sending on SQS. The object of a message is named after
//! both, so they travel with it in an attribute of our own.

use aws_sdk_sqs::types::MessageAttributeValue;
use chassis::ports::queue::{Attributes, MAX_ATTRIBUTES};
use chassis::ports::{MessageId, QueueError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The attribute that holds an [`Origin`], as JSON.
const ORIGIN: &str = "keelson_origin";
/// The attribute that holds the reason in words.
const REASON: &str = "dead_letter_reason";

/// A message's first life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) id: MessageId,
    pub(super) sent_at: Timestamp,
    /// Deliveries until it was given up; none for a message that came back.
    #[serde(default)]
    pub(super) receive_count: u32,
    /// Attributes for which two more of our own leave no room.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    more: Attributes,
}

/// Attributes as they were sent, and what this module put beside them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unpacked {
    pub(super) attributes: Attributes,
    pub(super) origin: Option<Origin>,
    pub(super) reason: Option<String>,
}

/// Adds the origin, and the reason if there is one. All together are no more than SQS takes.
pub(super) fn pack(
    mut attributes: Attributes,
    (id, sent_at, receive_count): (&MessageId, Timestamp, u32),
    reason: Option<&str>,
) -> Result<Attributes, QueueError> {
    let room = MAX_ATTRIBUTES - 1 - usize::from(reason.is_some());
    let mut more = Attributes::new();
    while attributes.len() > room {
        more.extend(attributes.pop_last());
    }
    let origin = Origin { id: id.clone(), sent_at, receive_count, more };
    let origin = serde_json::to_string(&origin).map_err(|error| QueueError::Other(error.to_string()))?;
    attributes.insert(ORIGIN.to_owned(), origin);
    attributes.extend(reason.map(|reason| (REASON.to_owned(), reason.to_owned())));
    Ok(attributes)
}

/// Takes apart what [`pack`] made, and leaves everything else as it is.
pub(super) fn unpack(mut attributes: Attributes) -> Unpacked {
    let origin = attributes.get(ORIGIN).and_then(|text| serde_json::from_str::<Origin>(text).ok());
    let Some(mut origin) = origin else { return Unpacked { attributes, ..Unpacked::default() } };
    attributes.remove(ORIGIN);
    let reason = attributes.remove(REASON);
    attributes.append(&mut origin.more);
    Unpacked { attributes, origin: Some(origin), reason }
}

/// As SQS takes them.
pub(super) fn to_sqs(attributes: &Attributes) -> Result<Vec<(String, MessageAttributeValue)>, QueueError> {
    let value = |text: &String| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(text).build();
        value.map_err(|error| QueueError::Invalid(error.to_string()))
    };
    attributes.iter().map(|(name, text)| Ok((name.clone(), value(text)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(count: usize) -> Attributes {
        (0..count).map(|number| (format!("name{number}"), "value".to_owned())).collect()
    }

    #[test]
    fn what_is_packed_comes_out_again_however_many_attributes_there_are() {
        let (id, sent_at) = (MessageId("m".into()), Timestamp::from_millisecond(1_700_000_000_123).unwrap());
        for count in 0..=MAX_ATTRIBUTES {
            for reason in [None, Some("not JSON")] {
                let packed = pack(attributes(count), (&id, sent_at, 3), reason).unwrap();
                assert!(packed.len() <= MAX_ATTRIBUTES);
                let Unpacked { attributes: unpacked, origin, reason: found } = unpack(packed);
                assert_eq!((unpacked, found.as_deref()), (attributes(count), reason));
                let origin = origin.unwrap();
                assert_eq!((origin.id, origin.sent_at, origin.receive_count), (id.clone(), sent_at, 3));
            }
        }
    }

    #[test]
    fn foreign_attributes_stay() {
        let odd = Attributes::from([(ORIGIN.to_owned(), "{}".to_owned()), (REASON.to_owned(), "mine".to_owned())]);
        assert_eq!(unpack(odd.clone()), Unpacked { attributes: odd, ..Unpacked::default() });
    }
}
