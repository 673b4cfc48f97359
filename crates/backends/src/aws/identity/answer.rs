//! What STS answers, read by its whole structure: another document that has the same words in it is not one.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

const NAMESPACE: &[u8] = b"https://sts.amazonaws.com/doc/2011-06-15/";

/// Who signed the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallerIdentity {
    pub(super) arn: String,
    pub(super) account: String,
}

/// The elements of the answer.
///
/// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Response,
    Result,
    Arn,
    UserId,
    Account,
    Metadata,
    RequestId,
}

const ELEMENTS: usize = 7;

impl Element {
    /// Each has one place where it may stand.
    fn of(parent: Option<Self>, name: &[u8]) -> Option<Self> {
        match (parent, name) {
            (None, b"GetCallerIdentityResponse") => Some(Self::Response),
            (Some(Self::Response), b"GetCallerIdentityResult") => Some(Self::Result),
            (Some(Self::Response), b"ResponseMetadata") => Some(Self::Metadata),
            (Some(Self::Result), b"Arn") => Some(Self::Arn),
            (Some(Self::Result), b"UserId") => Some(Self::UserId),
            (Some(Self::Result), b"Account") => Some(Self::Account),
            (Some(Self::Metadata), b"RequestId") => Some(Self::RequestId),
            _ => None,
        }
    }

    fn has_text(self) -> bool {
        matches!(self, Self::Arn | Self::UserId | Self::Account | Self::RequestId)
    }
}

/// How far the answer is read.
#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    /// Those that began, by their number, with their texts.
    found: [Option<String>; ELEMENTS],
}

impl Reading {
    fn begin(&mut self, start: &BytesStart<'_>, is_of_sts: bool) -> Option<()> {
        // With its prefix, so that the namespace is the one that goes without saying.
        let element = Element::of(self.open.last().copied(), start.name().as_ref())?;
        let is_plain = start.attributes().all(|it| it.is_ok_and(|attribute| attribute.key.into_inner() == b"xmlns"));
        let found = &mut self.found[element as usize];
        if !is_of_sts || !is_plain || found.is_some() {
            return None;
        }
        *found = Some(String::new());
        self.open.push(element);
        Some(())
    }

    fn read(&mut self, text: &str) -> Option<()> {
        match self.open.last() {
            Some(element) if element.has_text() => self.found[*element as usize].as_mut()?.push_str(text),
            _ => text.trim_ascii().is_empty().then_some(())?,
        }
        Some(())
    }

    fn end(mut self) -> Option<CallerIdentity> {
        let mut take = |element: Element| self.found[element as usize].take().filter(|text| is_text(text));
        let (arn, account, _user) = (take(Element::Arn)?, take(Element::Account)?, take(Element::UserId)?);
        self.open.is_empty().then_some(CallerIdentity { arn, account })
    }
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The caller, or `None` when this is not exactly one answer to `GetCallerIdentity`. Comments, entities, processing
/// instructions, document types and CDATA do not stand in one.
pub(super) fn read(text: &str) -> Option<CallerIdentity> {
    let mut reader = NsReader::from_str(text);
    let mut reading = Reading::default();
    let mut is_first = true;
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        let is_of_sts = namespace == ResolveResult::Bound(Namespace(NAMESPACE));
        match event {
            Event::Decl(_) if is_first => {}
            Event::Start(start) => reading.begin(&start, is_of_sts)?,
            Event::Text(text) => reading.read(&text.decode().ok()?)?,
            // The reader knows that it is the one that is open.
            Event::End(_) => {
                reading.open.pop()?;
            }
            Event::Eof => return reading.end(),
            _ => return None,
        }
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/orders/s";

    fn sound() -> String {
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
             <GetCallerIdentityResult>\n    \
             <Arn>{ARN}</Arn>\n    <UserId>AROA:s</UserId>\n    <Account>123456789012</Account>\n  \
             </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>1-2</RequestId>\n  </ResponseMetadata>\n\
             </GetCallerIdentityResponse>\n"
        )
    }

    #[test]
    fn the_answer_of_sts_names_the_caller() {
        let caller = CallerIdentity { arn: ARN.into(), account: "123456789012".into() };
        assert_eq!(read(&sound()), Some(caller.clone()));
        assert_eq!(read(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", sound())), Some(caller.clone()));
        let (start, end) =
            (sound().find("<ResponseMetadata>").unwrap(), sound().find("</GetCallerIdentityResp").unwrap());
        assert_eq!(read(&format!("{}{}", &sound()[..start], &sound()[end..])), Some(caller));
    }

    #[test]
    fn an_answer_with_anything_doubled_missing_or_added_names_nobody() {
        let forged = "<Arn>arn:aws:sts::123456789012:assumed-role/admin/s</Arn>";
        let arn = format!("<Arn>{ARN}</Arn>");
        let second_result =
            format!("</GetCallerIdentityResult><GetCallerIdentityResult>{forged}</GetCallerIdentityResult>");
        let cases: &[(&str, &str)] = &[
            (arn.as_str(), ""),
            (arn.as_str(), "<Arn></Arn>"),
            (arn.as_str(), "<Arn/>"),
            (arn.as_str(), &format!("{forged}{arn}")),
            (arn.as_str(), &format!("{arn}{forged}")),
            (arn.as_str(), &format!("<Arn>{arn}</Arn>")),
            (arn.as_str(), "<Arn>a&amp;b</Arn>"),
            (arn.as_str(), &format!("<Arn> {ARN}</Arn>")),
            (arn.as_str(), &format!("<Arn><!-- -->{ARN}</Arn>")),
            (arn.as_str(), &format!("<Arn><![CDATA[{ARN}]]></Arn>")),
            (arn.as_str(), &format!("<Arn a=\"b\">{ARN}</Arn>")),
            (arn.as_str(), &format!("<Arn xmlns=\"https://other\">{ARN}</Arn>")),
            (arn.as_str(), &format!("<arn>{ARN}</arn>")),
            (arn.as_str(), &format!("text {arn}")),
            ("<UserId>AROA:s</UserId>", ""),
            ("<UserId>AROA:s</UserId>", "<UserId>AROA:s</UserId><UserId>AROA:s</UserId>"),
            ("<Account>123456789012</Account>", "<Account>1</Account><Account>123456789012</Account>"),
            ("</GetCallerIdentityResult>", &second_result),
            ("<ResponseMetadata>", &format!("{forged}<ResponseMetadata>")),
            (" xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"", ""),
            ("/2011-06-15/", "/2010-05-08/"),
            ("</GetCallerIdentityResponse>\n", ""),
            ("</GetCallerIdentityResponse>\n", "</GetCallerIdentityResponse>more"),
            ("<GetCallerIdentityResponse", "<!DOCTYPE a []><GetCallerIdentityResponse"),
            ("<GetCallerIdentityResponse", "<?pi?><GetCallerIdentityResponse"),
        ];
        for &(part, changed) in cases {
            assert!(sound().contains(part), "{part}");
            assert_eq!(read(&sound().replacen(part, changed, 1)), None, "{part} -> {changed}");
        }
        assert_eq!(read(&format!("{}{}", sound(), sound())), None);
    }

    #[test]
    fn the_text_of_another_api_names_nobody() {
        let namespace = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
        let inside = format!("<GetSessionTokenResponse {namespace}>{}</GetSessionTokenResponse>", sound());
        let quoted = format!("{{\"Error\": \"{}\"}}", sound());
        let json = format!("{{\"GetCallerIdentityResponse\":{{\"GetCallerIdentityResult\":{{\"Arn\":\"{ARN}\"}}}}}}");
        let renamed = sound().replace("GetCallerIdentityResult", "GetSessionTokenResult");
        for text in [inside.as_str(), &quoted, &json, &renamed, "", "<html></html>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
