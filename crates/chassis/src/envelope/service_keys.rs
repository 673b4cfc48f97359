//! The keys of all services that this process encrypts for or decrypts from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{EncryptionKeys, KeyRing, ReplayCache};
use crate::clock::Clock;

/// Whose keys are known, and what was decrypted with them. One for each process.
///
/// A body is encrypted with a key of whoever sends it: a request with the caller's, an answer with that of the service
/// that answers. A service without keys of its own uses those that all share.
#[derive(Debug)]
pub struct ServiceKeys {
    shared: Option<Arc<EncryptionKeys>>,
    owned: BTreeMap<&'static str, Arc<EncryptionKeys>>,
    encrypted_peers: BTreeSet<&'static str>,
    pub(crate) taken: ReplayCache,
    clock: Arc<dyn Clock>,
}

impl ServiceKeys {
    /// No keys yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (owned, encrypted_peers, taken) = (BTreeMap::new(), BTreeSet::new(), ReplayCache::default());
        Self { shared: None, owned, encrypted_peers, taken, clock }
    }

    /// With the keys that all services share: those of Fernet, and those of services that have none of their own.
    #[must_use]
    pub fn with_shared(self, keys: Arc<EncryptionKeys>) -> Self {
        Self { shared: Some(keys), ..self }
    }

    /// With the keys of the service that others call `owner`.
    #[must_use]
    pub fn with(mut self, owner: &'static str, keys: Arc<EncryptionKeys>) -> Self {
        self.owned.insert(owner, keys);
        self
    }

    /// Calls of these services are encrypted in v2, wherever both sides' keys are known.
    #[must_use]
    pub fn encrypting_calls_of(self, peers: impl IntoIterator<Item = &'static str>) -> Self {
        Self { encrypted_peers: peers.into_iter().collect(), ..self }
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.is_none() && self.owned.is_empty()
    }

    /// The ring that encrypts what this service sends.
    #[must_use]
    pub fn ring_of(&self, owner: &str) -> Option<Arc<KeyRing>> {
        self.owned.get(owner).or(self.shared.as_ref()).map(|keys| keys.ring())
    }

    /// The ring of nobody in particular.
    pub(crate) fn shared_ring(&self) -> Option<Arc<KeyRing>> {
        self.shared.as_ref().map(|keys| keys.ring())
    }

    /// Whether calls of this service are encrypted unless somebody says otherwise.
    pub(crate) fn encrypts_calls_of(&self, peer: &str) -> bool {
        self.encrypted_peers.contains(peer)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
