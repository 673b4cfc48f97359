//! Who may do what: a policy as IAM writes it, in force for every request whoever signed it.
//!
//! Of IAM there is what least privilege needs: statements that allow actions on resources, with `*` and `?` in both.
//! Everything else of a policy is refused, since a rule that is read and not followed proves nothing.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::error::AwsError;
use super::fake::Fake;
use super::service::{Service, Target};
use super::settings::{ACCOUNT, queue_arn, secret_arn};
use super::{lock, ssm};

/// The document of a policy.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Policy {
    #[serde(rename = "Version")]
    _version: Version,
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize)]
enum Version {
    #[serde(rename = "2012-10-17")]
    Current,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
}

#[derive(Debug, Deserialize)]
enum Effect {
    Allow,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn any(&self, is_one: impl Fn(&T) -> bool) -> bool {
        match self {
            Self::One(one) => is_one(one),
            Self::Many(many) => many.iter().any(is_one),
        }
    }
}

impl Policy {
    /// Nothing, or the refusal that names the action and the resource.
    pub(crate) fn check(&self, target: &Target) -> Result<(), AwsError> {
        let (action, resource) = (action(target), resource(target));
        // Nobody can be refused to learn who he is.
        let is_allowed = action == "sts:GetCallerIdentity"
            || self.statement.any(|statement| {
                // IAM ignores the case of actions, and of nothing else.
                let is_action = |allowed: &String| matches(&allowed.to_lowercase(), &action.to_lowercase());
                statement.action.any(is_action) && statement.resource.any(|allowed| matches(allowed, &resource))
            });
        if is_allowed { Ok(()) } else { Err(AwsError::denied(target.service, &action, &resource)) }
    }
}

/// The name that policies have for it: batches and heads have none of their own.
/// Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>
fn action(target: &Target) -> String {
    let name = match target.action {
        "HeadObject" => "GetObject",
        "DeleteObjects" => "DeleteObject",
        "HeadBucket" | "ListObjectsV2" => "ListBucket",
        "ListBuckets" => "ListAllMyBuckets",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        name => name.trim_end_matches("Batch"),
    };
    format!("{}:{name}", target.service)
}

/// The ARN. What concerns no resource, such as a listing of all, is allowed by `*` alone.
fn resource(target: &Target) -> String {
    let name = target.resource.as_str();
    match target.service {
        _ if name.is_empty() || name.starts_with("arn:") => name.to_owned(),
        Service::Sqs => queue_arn(name),
        // It deletes objects, and the request names the bucket.
        Service::S3 if target.action == "DeleteObjects" => format!("arn:aws:s3:::{name}/"),
        Service::S3 => format!("arn:aws:s3:::{name}"),
        Service::Ssm => ssm::arn(name),
        Service::SecretsManager => secret_arn(name),
        Service::Sts => "*".to_owned(),
    }
}

/// `*` stands for any letters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut here) = (0, 0);
    // Behind the last star, and the first letter that it does not stand for yet.
    let mut retry: Option<(usize, usize)> = None;
    while here < text.len() {
        match (pattern.get(at), retry) {
            (Some(b'*'), _) => {
                at += 1;
                retry = Some((at, here));
            }
            (Some(letter), _) if *letter == b'?' || *letter == text[here] => (at, here) = (at + 1, here + 1),
            (_, Some((star, from))) => {
                retry = Some((star, from + 1));
                (at, here) = (star, from + 1);
            }
            _ => return false,
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

impl Fake {
    /// From now on only what this policy document allows is done; everything else is refused as AWS refuses it.
    ///
    /// # Panics
    ///
    /// When the document has more than statements that allow actions on resources.
    pub fn allow_only(&self, document: &Value) {
        match Policy::deserialize(document) {
            Ok(policy) => *lock(&self.world.policy) = Some(policy.into()),
            Err(error) => panic!("the fake does not follow this policy: {error}: {document}"),
        }
    }

    /// Takes the policy away.
    pub fn allow_all(&self) {
        *lock(&self.world.policy) = None;
    }
}

impl AwsError {
    /// What the service says to those whom no policy allows it.
    fn denied(service: Service, action: &str, resource: &str) -> Self {
        // SQS alone writes actions in lower case.
        let action = if service == Service::Sqs { Cow::from(action.to_lowercase()) } else { Cow::from(action) };
        let message = format!(
            "User: arn:aws:iam::{ACCOUNT}:user/fake is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        );
        match service {
            Service::Sqs | Service::S3 | Service::Sts => Self::new(403, "AccessDenied", message),
            Service::Ssm | Service::SecretsManager => Self::new(400, "AccessDeniedException", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_a_question_mark_for_one() {
        for (pattern, text) in [("*", ""), ("a*", "a"), ("a*c*e", "abcdcde"), ("*/?.json", "x/y/1.json"), ("ab", "ab")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?", "a"), ("a*c", "abcd"), ("ab", "abc"), ("*b*c", "aacb")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_the_fake_does_not_follow_is_no_policy() {
        let read = |text: &str| serde_json::from_str::<Policy>(text).map(drop).map_err(drop);
        let document =
            |rest: &str| format!(r#"{{"Version":"2012-10-17","Statement":{{"Action":"s3:*","Resource":"*",{rest}}}}}"#);
        assert_eq!(read(&document(r#""Effect":"Allow""#)), Ok(()));
        assert_eq!(read(&document(r#""Effect":"Deny""#)), Err(()));
        assert_eq!(read(&document(r#""Effect":"Allow","Condition":{}"#)), Err(()));
        assert_eq!(read("{}"), Err(()));
    }
}
