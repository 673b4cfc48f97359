//! Who asks AWS, and whether both agree about the time.

use backends::aws::inspect::{Inspector, Trouble};
use jiff::SignedDuration;

use super::report::Check;

const CREDENTIALS: &str = "credentials";
const CLOCK: &str = "clock";

/// A difference that is worth mending before it grows.
const SKEW_WARNING: i64 = 60;
/// AWS refuses signatures of another time than its own.
/// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
const SKEW_LIMIT: i64 = 5 * 60;

/// Without them nothing else can be asked; their source is the whole fix.
pub(super) fn no_credentials(why: &str) -> Check {
    let fix = "as it says; on your own machine AWS_PROFILE does too, and `aws sts get-caller-identity` tries it";
    Check::failed(CREDENTIALS, why, fix)
}

/// Who they belong to.
pub(super) async fn identity(inspector: &Inspector) -> Check {
    match inspector.identity().await {
        Ok(arn) => Check::ok(CREDENTIALS, format!("of {arn}")),
        Err(Trouble::Credentials { code }) => refused(CREDENTIALS, &code),
        // The services never ask for it, and a network without a way to STS is common.
        Err(trouble) => Check::not_checked(CREDENTIALS, format!("found; whose they are is not known: STS: {trouble}")),
    }
}

/// AWS does not know who asks.
pub(super) fn refused(name: &'static str, code: &str) -> Check {
    let fix = "mend the clock first if that check fails; else take fresh credentials, of the account that owns this";
    Check::failed(name, format!("AWS does not accept the credentials: {code}"), fix)
}

/// By the answers so far.
pub(super) fn clock(skew_seconds: Option<i64>) -> Check {
    let Some(skew) = skew_seconds else {
        return Check::not_checked(CLOCK, "no answer of AWS has told the time");
    };
    let (size, side) = (skew.abs(), if skew > 0 { "behind" } else { "ahead of" });
    let text = format!("this machine is {:#} {side} AWS", SignedDuration::from_secs(size));
    let fix = "let the machine follow a time server: `chronyc tracking` or `timedatectl status` tells why it does not";
    match size {
        SKEW_LIMIT.. => Check::failed(CLOCK, format!("{text}, which refuses requests from 5 minutes on"), fix),
        SKEW_WARNING.. => Check::warning(CLOCK, format!("{text}, which refuses requests from 5 minutes on"), fix),
        0..=2 => Check::ok(CLOCK, "agrees with AWS"),
        _ => Check::ok(CLOCK, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_clock_is_judged_on_both_sides() {
        let all =
            [(0, Status::Ok), (59, Status::Ok), (60, Status::Warning), (299, Status::Warning), (300, Status::Failed)];
        for (seconds, status) in all {
            for skew in [seconds, -seconds] {
                assert_eq!(clock(Some(skew)).status, status, "{skew}");
            }
        }
        assert!(clock(Some(90)).text.contains("1m 30s behind AWS"), "{:?}", clock(Some(90)));
        assert!(clock(Some(-90)).text.contains("1m 30s ahead of AWS"), "{:?}", clock(Some(-90)));
        assert_eq!(clock(None).status, Status::NotChecked);
    }
}
