//! Which service calls, by its IAM role: the caller signs `sts:GetCallerIdentity` and hands the signature over, and
//! whoever is called has STS say whose it is. No secret is shared, and none leaves the caller.
//!
//! [`RoleProofs`] makes a proof, [`RoleAuthenticator`] judges one, [`AllowedRoles`] says which roles are services and
//! what they may do; [`RoleTokens`] exchanges proofs for tokens.
//!
//! # One use
//! A proof is good once: it is exchanged for a short-lived token of ours
//! ([`ServiceIdentity::token`](chassis::auth::ServiceIdentity::token)), which calls then show as they do off AWS. The
//! other ways are worse. A proof for each call would make each call wait for STS, and its limits ours. One that is good
//! several times is a password for a quarter of an hour to whoever sees it. With the exchange STS is asked once for
//! some minutes of calls, and every service but the one that exchanges verifies a signature and needs no way to STS.
//! What was shown is remembered in the memory of one process: with several replicas that exchange, a proof is good once
//! at each, and only while it is young. A proof from before the process began is refused, since nobody knows whether it
//! was shown.
//!
//! # What others learned
//! * What can be rebuilt is not taken from the caller: neither URL, method, path, query nor body is in a proof, and
//!   every header that is has one value or form that is right. HashiCorp Vault took the request from the caller, who
//!   could have STS answer with a text of his own choice (CVE-2020-16250):
//!   <https://googleprojectzero.blogspot.com/2020/10/enter-the-vault-auth-issues-hashicorp-vault.html>,
//!   <https://words.filippo.io/dispatches/reconstruct-vs-validate/>
//! * The header that says for whom a proof is must be signed, and every name stands once. aws-iam-authenticator read
//!   one of two parameters of a name and STS the other one (CVE-2022-2385):
//!   <https://blog.lightspin.io/exploiting-eks-authentication-vulnerability-in-aws-iam-authenticator>
//! * STS answers in JSON to whoever asks for it, where a caller's text may stand; it is asked for XML, and the answer
//!   is read by its whole structure and not searched.

mod answer;
mod exchange;
mod proof;
mod replays;
mod roles;
mod sts;
#[cfg(test)]
mod tests;
mod verifier;

pub use exchange::RoleTokens;
pub use proof::{AUDIENCE_HEADER, NoProof, RoleProofs};
pub use roles::{AllowedRoles, NoAllowedRoles, Role};
pub use verifier::RoleAuthenticator;
