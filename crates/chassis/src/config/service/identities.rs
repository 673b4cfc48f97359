//! The services of the system that are known by what they prove themselves with, and what each may do.

use super::super::{Mistakes, OptionalSetting, Reader, Section};
use crate::auth::AllowedIdentities;

/// Services that are known by what they prove themselves with.
pub const SERVICE_IDENTITIES: OptionalSetting<String> = OptionalSetting::new(
    "SERVICE_IDENTITIES",
    "Services that are known without a token, and what each may do: a JSON array of `{identity, scopes}`, where `identity` is a SPIFFE id (`spiffe://TRUST-DOMAIN/PATH`), which a client certificate of `TLS_CA_FILE` holds, or the ARN of an IAM role (`arn:aws:iam::123456789012:role/orders`), for whose proof users gives tokens (`SERVICE_IDENTITY=aws`). Each counts whole: there are no patterns. Whoever is not in the list is nobody.",
);

pub(super) const SECTION: Section = Section { title: "Service identity", settings: &[SERVICE_IDENTITIES.info] };

pub(super) fn read(reader: &mut Reader<'_>) -> AllowedIdentities {
    let Some(text) = reader.get_optional(&SERVICE_IDENTITIES) else { return AllowedIdentities::default() };
    text.parse().unwrap_or_else(|error| {
        let mut mistakes = Mistakes::default();
        mistakes.add(format!("{}: {error}", reader.found(&SERVICE_IDENTITIES.info)));
        reader.extend(mistakes);
        AllowedIdentities::default()
    })
}
