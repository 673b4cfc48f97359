//! Roles, and which of them are services of the system.

use std::collections::HashMap;
use std::fmt;

use chassis::auth::AllowedIdentities;
use thiserror::Error;

use super::answer::CallerIdentity;

/// An IAM role. Its path is left out: STS does not tell it, and in one account no two roles have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    partition: String,
    account: String,
    name: String,
}

impl Role {
    /// The role of `arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME`.
    fn of_role_arn(arn: &str) -> Option<Self> {
        let (partition, account, resource) = parts(arn, "iam")?;
        let names: Vec<&str> = resource.strip_prefix("role/")?.split('/').collect();
        let name = names.last().filter(|_| names.iter().all(|name| is_name(name)))?;
        Some(Self { partition: partition.into(), account: account.into(), name: (*name).into() })
    }

    /// The role of whoever signed, if a role did: its session is
    /// `arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION`.
    pub(super) fn of_session(caller: &CallerIdentity) -> Option<Self> {
        let (partition, account, resource) = parts(&caller.arn, "sts")?;
        let (name, session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
        let is_sound = is_name(name) && is_name(session) && account == caller.account;
        is_sound.then(|| Self { partition: partition.into(), account: account.into(), name: name.into() })
    }
}

/// Partition, account and resource of an ARN of this service, which has no region.
fn parts<'a>(arn: &'a str, service: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let mut parts = arn.splitn(6, ':');
    let is_arn = parts.next()? == "arn";
    let partition = parts.next()?;
    let is_service = parts.next()? == service && parts.next()?.is_empty();
    let account = parts.next()?;
    let is_partition = partition == "aws" || partition.starts_with("aws-");
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_arn && is_service && is_partition && is_account).then_some((partition, account, parts.next()?))
}

/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_fit)
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:iam::{}:role/{}", self.partition, self.account, self.name)
    }
}

/// The roles of services, each with what it may do. A role counts by its whole ARN but the path: there are no patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedRoles(HashMap<Role, Vec<String>>);

/// Why an identity is no role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAllowedRoles {
    /// It is none of AWS.
    #[error("found `{0}`, expected the ARN of one role, such as `arn:aws:iam::123456789012:role/orders`")]
    Arn(String),
    /// Two are the same role.
    #[error("found {0} twice, expected each role once; a path does not tell roles apart")]
    Twice(Role),
}

/// With what an identity begins that AWS knows.
const ARN: &str = "arn:";

impl AllowedRoles {
    /// The roles among these identities. The others are not looked at.
    ///
    /// # Errors
    /// [`NoAllowedRoles`].
    pub fn of(identities: &AllowedIdentities) -> Result<Self, NoAllowedRoles> {
        let mut roles = HashMap::new();
        for (arn, scopes) in identities.iter().filter(|(identity, _)| identity.starts_with(ARN)) {
            let role = Role::of_role_arn(arn).ok_or_else(|| NoAllowedRoles::Arn(arn.to_owned()))?;
            if roles.contains_key(&role) {
                return Err(NoAllowedRoles::Twice(role));
            }
            roles.insert(role, scopes.to_vec());
        }
        Ok(Self(roles))
    }

    /// What the role may do; `None` for a role that is no service.
    pub(super) fn scopes(&self, role: &Role) -> Option<&[String]> {
        self.0.get(role).map(Vec::as_slice)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_of(arn: &str, account: &str) -> Option<String> {
        let caller = CallerIdentity { arn: arn.into(), account: account.into() };
        Role::of_session(&caller).map(|role| role.to_string())
    }

    #[test]
    fn a_session_is_that_of_its_role() {
        let session = "arn:aws-cn:sts::123456789012:assumed-role/orders/i-0abc";
        assert_eq!(role_of(session, "123456789012").unwrap(), "arn:aws-cn:iam::123456789012:role/orders");
    }

    #[test]
    fn whoever_is_no_session_of_a_role_has_none() {
        for arn in [
            "arn:aws:iam::123456789012:user/orders",
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:role/orders",
            "arn:aws:sts::123456789012:federated-user/orders",
            "arn:aws:sts::123456789012:assumed-role/orders",
            "arn:aws:sts::123456789012:assumed-role/orders/",
            "arn:aws:sts::123456789012:assumed-role//s",
            "arn:aws:sts::123456789012:assumed-role/orders/s/t",
            "arn:aws:sts::123456789012:assumed-role/or ders/s",
            "arn:aws:sts:us-east-1:123456789012:assumed-role/orders/s",
            "arn:aws:sts::12345678901:assumed-role/orders/s",
            "arn:other:sts::123456789012:assumed-role/orders/s",
            " arn:aws:sts::123456789012:assumed-role/orders/s",
        ] {
            assert_eq!(role_of(arn, "123456789012"), None, "{arn}");
        }
        assert_eq!(role_of("arn:aws:sts::123456789012:assumed-role/orders/s", "999999999999"), None);
    }

    #[test]
    fn a_role_that_is_allowed_is_found_whatever_its_path() {
        let text = r#"[{"identity": "arn:aws:iam::123456789012:role/services/a/orders", "scopes": ["users:read"]},
                       {"identity": "spiffe://example.org/orders", "scopes": []},
                       {"identity": "arn:aws:iam::123456789012:role/users", "scopes": []}]"#;
        let roles = AllowedRoles::of(&text.parse().unwrap()).unwrap();
        let scopes = |arn: &str| roles.scopes(&Role::of_role_arn(arn).unwrap()).map(<[String]>::to_vec);
        assert_eq!(scopes("arn:aws:iam::123456789012:role/orders"), Some(vec!["users:read".to_owned()]));
        assert_eq!(scopes("arn:aws:iam::123456789012:role/users"), Some(Vec::new()));
        for other in ["arn:aws:iam::999999999999:role/orders", "arn:aws-cn:iam::123456789012:role/orders"] {
            assert_eq!(scopes(other), None, "{other}");
        }
        assert_eq!(scopes("arn:aws:iam::123456789012:role/Orders"), None);
    }

    #[test]
    fn an_arn_that_is_no_role_and_a_role_that_is_there_twice_are_refused() {
        let entry = |role: &str| format!(r#"{{"identity": "{role}", "scopes": []}}"#);
        let sound = entry("arn:aws:iam::123456789012:role/orders");
        let other_path = entry("arn:aws:iam::123456789012:role/x/orders");
        for (list, found) in [
            (entry("arn:aws:iam::1:role/orders"), "expected the ARN of one role"),
            (entry("arn:other:iam::123456789012:role/orders"), "expected the ARN of one role"),
            (format!("{sound}, {other_path}"), "found arn:aws:iam::123456789012:role/orders twice"),
        ] {
            let error = AllowedRoles::of(&format!("[{list}]").parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains(found), "{list}: {error}");
        }
    }
}
