//! Changes of one order, one after the other.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Two orders that share a place wait for each other too, which costs a little time and nothing else.
const PLACES: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// Those of this process take turns, so that none of them loses a race against another one; against those of other
/// processes the version decides.
#[derive(Debug)]
pub(crate) struct Turns {
    hasher: RandomState,
    places: Box<[Mutex<()>]>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }
}

impl Turns {
    /// Waits for those that came before, but not for long: while the store hangs, nobody is to wait for others who do. It is
    /// this caller's turn for as long as it keeps the guard; without one the version alone decides.
    pub(crate) async fn of(&self, order_id: &str) -> Option<MutexGuard<'_, ()>> {
        let place = self.hasher.hash_one(order_id) as usize % PLACES;
        timeout(PATIENCE, self.places[place].lock()).await.ok()
    }
}
