//! What to type, and what to allow.

use backends::aws::AwsSettings;
use serde_json::json;

/// Makes commands and policies for one account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixes<'a> {
    aws: &'a AwsSettings,
}

impl<'a> Fixes<'a> {
    pub(super) fn new(aws: &'a AwsSettings) -> Self {
        Self { aws }
    }

    /// A command of the AWS CLI, its words quoted for a shell.
    pub(super) fn command(&self, words: &[&str]) -> String {
        let mut all = vec!["aws"];
        all.extend_from_slice(words);
        all.extend(["--region", &self.aws.region]);
        if let Some(endpoint) = &self.aws.endpoint_url {
            all.extend(["--endpoint-url", endpoint]);
        }
        all.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// `SetQueueAttributes`. The CLI wants each value as text, a policy too.
    pub(super) fn set_queue_attribute(&self, url: &str, name: &str, value: &str) -> String {
        let attributes = json!({ name: value }).to_string();
        self.command(&["sqs", "set-queue-attributes", "--queue-url", url, "--attributes", &attributes])
    }

    pub(super) fn set_redrive_policy(&self, url: &str, dead_letter_arn: &str, max_receive_count: u32) -> String {
        let policy = json!({ "deadLetterTargetArn": dead_letter_arn, "maxReceiveCount": max_receive_count });
        self.set_queue_attribute(url, "RedrivePolicy", &policy.to_string())
    }

    /// What to add to a role's policy.
    pub(super) fn allow(&self, action: &str, resource: &str) -> String {
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        format!("add to the policy of the role: {statement}")
    }

    /// What to do where nothing answers.
    pub(super) fn reach(&self, name: &str) -> String {
        match &self.aws.endpoint_url {
            Some(endpoint) => format!("AWS_ENDPOINT_URL is {endpoint}: see that it answers, or unset it"),
            None => format!(
                "let this machine reach AWS in {} for its {name}: a route, a NAT gateway or a VPC endpoint; check AWS_REGION",
                self.aws.region
            ),
        }
    }

    /// A name in policies; the account may be `*`.
    pub(super) fn arn(&self, service: &str, account: &str, resource: &str) -> String {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
        let partition = match &self.aws.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        // The names of buckets are unique in the whole partition.
        let region = if service == "s3" { "" } else { &self.aws.region };
        format!("arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// In quotes where a shell would see more than a word.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_a_shell() {
        assert_eq!(quoted("https://sqs.us-east-1.amazonaws.com/1/q"), "https://sqs.us-east-1.amazonaws.com/1/q");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("$(rm -r /)"), "'$(rm -r /)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn names_follow_the_partition_of_the_region() {
        let arn = |region: &str| {
            let aws = AwsSettings { region: region.into(), endpoint_url: None };
            Fixes::new(&aws).arn("sqs", "1", "q")
        };
        assert_eq!(arn("eu-central-1"), "arn:aws:sqs:eu-central-1:1:q");
        assert_eq!(arn("cn-north-1"), "arn:aws-cn:sqs:cn-north-1:1:q");
        let aws = AwsSettings { region: "us-east-1".into(), endpoint_url: None };
        assert_eq!(Fixes::new(&aws).arn("s3", "", "letters"), "arn:aws:s3:::letters");
    }
}
