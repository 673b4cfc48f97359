//! `GetCallerIdentity` in the query protocol, signed in a header or in the URL.
//!
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>

use http::StatusCode;

use super::error::AwsError;
use super::reply::{Reply, respond};
use super::service::Service;
use super::settings::ACCOUNT;

pub(crate) const ACTIONS: [&str; 1] = ["GetCallerIdentity"];

pub(crate) fn answer(action: &str) -> Result<Reply, AwsError> {
    if action != "GetCallerIdentity" {
        return Err(AwsError::unknown_action(Service::Sts));
    }
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/fake</Arn><UserId>AIDA{ACCOUNT}</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    );
    Ok(respond(StatusCode::OK, "text/xml", body).into())
}
