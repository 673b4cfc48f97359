//! The names that ingest writes and the archiver reads.

/// Attribute: the route that took the message, see [`Source`].
pub const SOURCE: &str = "source";
/// Attribute: names the request across services.
pub const CORRELATION_ID: &str = "correlation_id";
/// Attribute: the W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Attribute: the media type of the message's body.
pub const CONTENT_TYPE: &str = "content_type";
/// Attribute: `email_timestream` as RFC 3339 in UTC; only from `/submit`.
pub const EMAIL_INSTANT: &str = "email_instant";

/// The member that the archiver adds to a stored message; no user may send it.
pub const METADATA: &str = "_metadata";
/// The member that holds the caller's token, in both requests.
pub(super) const TOKEN: &str = "token";
/// The member that `/submit` asks for.
pub(super) const EMAIL_TIMESTREAM: &str = "email_timestream";
/// The members that `/api/message` asks for, in the order in which missing ones are named.
pub(super) const REQUIRED_FIELDS: [&str; 4] = ["email_subject", "email_sender", EMAIL_TIMESTREAM, "email_content"];

/// Which route took a message, and so what its body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `POST /api/message`: four e-mail fields.
    ApiMessage,
    /// `POST /submit`: any object with `email_timestream`.
    Submit,
}

impl Source {
    /// The route's path, which is the attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiMessage => "/api/message",
            Self::Submit => "/submit",
        }
    }

    /// The source of an attribute's value; `None` for routes that are not ours.
    #[must_use]
    pub fn from_route(route: &str) -> Option<Self> {
        [Self::ApiMessage, Self::Submit].into_iter().find(|source| source.as_str() == route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_back_from_its_route() {
        for source in [Source::ApiMessage, Source::Submit] {
            assert_eq!(Source::from_route(source.as_str()), Some(source));
        }
        for other in ["", "submit", "/submit/", "/api/v1/users"] {
            assert_eq!(Source::from_route(other), None, "{other}");
        }
    }
}
