//! Tokens whose signature was found right. What they say, the end of their time above all, is checked at each use.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use quick_cache::sync::Cache;

use super::Claims;

/// Tokens that are remembered at once, some 5 MB: one has half a kilobyte. The least used are forgotten.
pub(super) const MAX_VERIFIED: usize = 8192;

/// Holds digests, so that no token lies about in memory.
pub(super) struct VerifiedTokens(Cache<[u8; SHA256_OUTPUT_LEN], Arc<Claims>>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(MAX_VERIFIED))
    }
}

impl VerifiedTokens {
    pub(super) fn find(&self, token: &str) -> Option<Arc<Claims>> {
        self.0.get(&name(token)?)
    }

    pub(super) fn remember(&self, token: &str, claims: &Arc<Claims>) {
        if let Some(name) = name(token) {
            self.0.insert(name, Arc::clone(claims));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn name(token: &str) -> Option<[u8; SHA256_OUTPUT_LEN]> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}
