//! How services know each other: what this process shows others, and whom users gives tokens.

use backends::aws::identity::AllowedRoles;
use chassis::auth::AllowedIdentities;
use chassis::config::{FromText, Mistakes, Reader, SERVICE_IDENTITIES, Section, Setting};

const SERVICE_IDENTITY: Setting<ShownIdentity> = Setting::new(
    "SERVICE_IDENTITY",
    "token",
    "How this process proves to other services who it is. `token`: it signs tokens with `JWT_SECRET_KEY`, where that is set. `aws`: it gets them from users (`USER_SERVICE_URL`) for a proof of its IAM role, and needs neither a secret nor a permission for that. A process that runs users signs them itself in any case.",
);
pub(super) const SECTION: Section = Section { title: "Proof of identity", settings: &[SERVICE_IDENTITY.info] };

/// What a process shows other services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownIdentity {
    /// Tokens that it signs.
    Token,
    /// Tokens that it gets for a proof of its IAM role.
    Aws,
}

impl FromText for ShownIdentity {
    const EXPECTED: &'static str = "`token` or `aws`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "token" => Some(Self::Token),
            "aws" => Some(Self::Aws),
            _ => None,
        }
    }
}

pub(super) fn shown(reader: &mut Reader<'_>) -> ShownIdentity {
    reader.get(&SERVICE_IDENTITY)
}

/// The roles among the identities that are allowed, as AWS knows them.
pub(super) fn allowed_roles(reader: &mut Reader<'_>, allowed: &AllowedIdentities) -> AllowedRoles {
    AllowedRoles::of(allowed).unwrap_or_else(|error| {
        let line = format!("{}: {error}", reader.found(&SERVICE_IDENTITIES.info));
        reader.extend(Mistakes::one(line));
        AllowedRoles::default()
    })
}

#[cfg(test)]
mod tests {
    use chassis::config::Layers;

    use super::super::{Mode, Settings};
    use super::*;
    use crate::cli::ServiceName;

    const PRODUCTION: [(&str, &str); 4] =
        [("PRODUCTION", "true"), ("KEELSON_HOST", "0.0.0.0"), ("DATABASE_URL", "memory:"), ("ENCRYPT_CALLS", "false")];
    const ANALYTICS: (&str, &str) = ("ANALYTICS_SERVICE_URL", "http://analytics.internal:8001");
    const USERS: (&str, &str) = ("USER_SERVICE_URL", "http://users.internal:8002");
    const AWS: (&str, &str) = ("SERVICE_IDENTITY", "aws");

    fn read(service: ServiceName, texts: &[(&'static str, &str)]) -> Result<Settings, String> {
        let texts = [&PRODUCTION, texts].concat();
        Settings::read(&Layers::of(&texts), Mode::Serve, &[service]).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_process_with_a_role_needs_no_key_and_the_place_of_users() {
        let text = read(ServiceName::Orders, &[USERS, ANALYTICS]).unwrap_err();
        assert!(text.contains("JWT_SECRET_KEY") && text.contains("SERVICE_IDENTITY=aws"), "{text}");
        for (service, texts) in
            [(ServiceName::Orders, &[USERS, ANALYTICS, AWS][..]), (ServiceName::Analytics, &[USERS, AWS])]
        {
            assert_eq!(read(service, texts).unwrap().shown_identity, ShownIdentity::Aws);
        }
        for service in [ServiceName::Orders, ServiceName::Analytics] {
            let text = read(service, &[AWS]).unwrap_err();
            assert!(text.contains("1 mistake") && text.contains("USER_SERVICE_URL is not set"), "{text}");
            assert!(text.contains("SERVICE_IDENTITY=aws gets tokens there"), "{text}");
        }
        // These call nobody.
        read(ServiceName::Gateway, &[AWS]).unwrap();
    }

    #[test]
    fn identities_that_cannot_be_meant_are_a_mistake_that_says_why() {
        let read = |text: &str| read(ServiceName::Gateway, &[("SERVICE_IDENTITIES", text)]);
        assert!(read("").unwrap().allowed_roles.is_empty());
        let roles = read(r#"[{"identity": "arn:aws:iam::123456789012:role/orders", "scopes": []}]"#).unwrap();
        assert!(!roles.allowed_roles.is_empty());
        let text = read(r#"[{"identity": "arn:aws:iam::123456789012:role/*", "scopes": []}]"#).unwrap_err();
        assert!(text.contains("SERVICE_IDENTITIES=") && text.contains("or the ARN of one role"), "{text}");
    }

    #[test]
    fn an_identity_is_one_of_two_kinds() {
        let text = read(ServiceName::Gateway, &[("SERVICE_IDENTITY", "gcp")]).unwrap_err();
        assert!(text.contains("SERVICE_IDENTITY=gcp") && text.contains("`token` or `aws`"), "{text}");
    }
}
