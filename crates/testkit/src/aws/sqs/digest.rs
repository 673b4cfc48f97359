//! The MD5 digests that clients compare with their own.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::MessageAttribute;

pub(crate) fn hex_md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// `None` without attributes, as the answer then has no such field.
pub(crate) fn of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        update(&mut digest, name.as_bytes());
        update(&mut digest, attribute.data_type.as_bytes());
        if let Some(binary) = &attribute.binary_value {
            digest.update([2]);
            update(&mut digest, &STANDARD.decode(binary).unwrap_or_default());
        } else {
            digest.update([1]);
            update(&mut digest, attribute.string_value.as_deref().unwrap_or_default().as_bytes());
        }
    }
    Some(hex(&digest.finalize()))
}

fn update(digest: &mut Md5, bytes: &[u8]) {
    digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    digest.update(bytes);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests were computed by the rules of the source above, in another language.
    #[test]
    fn digests_are_those_that_clients_compute() {
        let attribute = |data_type: &str, text: Option<&str>, binary: Option<&str>| MessageAttribute {
            data_type: data_type.to_owned(),
            string_value: text.map(str::to_owned),
            binary_value: binary.map(str::to_owned),
        };
        let attributes = BTreeMap::from([
            ("s".to_owned(), attribute("String", Some("grün ✓"), None)),
            ("n".to_owned(), attribute("Number", Some("42"), None)),
            ("b".to_owned(), attribute("Binary", None, Some("AP8B"))),
            ("c".to_owned(), attribute("String.custom", Some("x"), None)),
        ]);
        assert_eq!(of_attributes(&attributes).unwrap(), "b713f5e777fdc27c4f5eac1607ae430f");
        assert_eq!(of_attributes(&BTreeMap::new()), None);
        assert_eq!(hex_md5("hé".as_bytes()), "33fcd01258e6ba07ef405dc9e721f3a7");
    }
}
