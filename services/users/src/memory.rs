//! Users in memory: for tests, and for `memory:`, which forgets at the end.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chassis::http::{Page, StoredAnswer};
use chassis::ports::{Event, MemoryOutbox};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::model::{Credentials, EmailKey, NewUser, User, UserCounts, UserId, UsernameKey, Version};
use crate::store::{Created, StoreError, Unique, UserList, UserStore, Written};

/// All users of a process.
#[derive(Debug, Default)]
pub struct MemoryUsers {
    users: Mutex<Users>,
    outbox: Arc<MemoryOutbox>,
}

#[derive(Debug, Default)]
struct Users {
    by_id: HashMap<UserId, (User, Option<SecretString>)>,
    in_order: BTreeSet<(Timestamp, UserId)>,
    emails: HashMap<EmailKey, UserId>,
    usernames: HashMap<UsernameKey, UserId>,
    answers: HashMap<String, StoredAnswer>,
}

impl MemoryUsers {
    /// A store without users.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The events that are written with the users.
    #[must_use]
    pub fn outbox(&self) -> Arc<MemoryOutbox> {
        Arc::clone(&self.outbox)
    }

    fn report(&self, event: Option<Event>) {
        event.into_iter().for_each(|event| self.outbox.push(event));
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Users {
    fn check_unique(&self, user: &User) -> Result<(), StoreError> {
        let is_other = |holder: Option<&UserId>| holder.is_some_and(|holder| *holder != user.id);
        if is_other(self.emails.get(&user.email.key())) {
            return Err(StoreError::Taken(Unique::Email));
        }
        if is_other(user.username_key().and_then(|key| self.usernames.get(&key))) {
            return Err(StoreError::Taken(Unique::Username));
        }
        Ok(())
    }

    fn insert(&mut self, user: User, password: Option<SecretString>) {
        self.in_order.insert((user.created_at, user.id));
        self.emails.insert(user.email.key(), user.id);
        if let Some(key) = user.username_key() {
            self.usernames.insert(key, user.id);
        }
        self.by_id.insert(user.id, (user, password));
    }

    fn remove(&mut self, id: UserId) -> Option<SecretString> {
        let (user, password) = self.by_id.remove(&id)?;
        self.in_order.remove(&(user.created_at, id));
        self.emails.remove(&user.email.key());
        if let Some(key) = user.username_key() {
            self.usernames.remove(&key);
        }
        password
    }

    /// How a write finds a user that it knows in a version.
    fn look(&self, id: UserId, known: Option<Version>) -> Written {
        match self.by_id.get(&id) {
            None => Written::Missing,
            Some((user, _)) if known.is_some_and(|known| known != user.version) => Written::Changed,
            Some(_) => Written::Done,
        }
    }
}

#[async_trait]
impl UserStore for MemoryUsers {
    async fn create(&self, NewUser { user, password, answer, event }: NewUser) -> Result<Created, StoreError> {
        let mut users = self.lock();
        if let Some(before) = answer.as_ref().and_then(|answer| users.answers.get(&answer.key.id)) {
            return Ok(Created::Before(before.clone()));
        }
        users.check_unique(&user)?;
        users.insert(user, password);
        users.answers.extend(answer.map(|answer| (answer.key.id.clone(), answer)));
        self.report(event);
        Ok(Created::Done)
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut users = self.lock();
        let before = users.answers.len();
        users.answers.retain(|_, answer| answer.expires_at > now);
        Ok(to_u64(before - users.answers.len()))
    }

    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.lock().by_id.get(&id).map(|(user, _)| user.clone()))
    }

    async fn find_credentials(&self, username: &UsernameKey) -> Result<Option<Credentials>, StoreError> {
        let users = self.lock();
        let found = users.usernames.get(username).and_then(|id| users.by_id.get(id));
        Ok(found.and_then(|(user, password)| {
            Some(Credentials {
                id: user.id,
                username: user.name.clone(),
                password: password.clone()?,
                is_active: user.is_active,
            })
        }))
    }

    async fn list(&self, page: Page) -> Result<UserList, StoreError> {
        let (skip, limit) = (to_usize(page.skip), to_usize(page.limit));
        let users = self.lock();
        let ids = users.in_order.iter().skip(skip).take(limit);
        let listed = ids.filter_map(|(_, id)| users.by_id.get(id)).map(|(user, _)| user.clone()).collect();
        Ok(UserList { users: listed, total: to_u64(users.by_id.len()) })
    }

    async fn replace(&self, user: User, known: Version) -> Result<Written, StoreError> {
        let mut users = self.lock();
        let found = users.look(user.id, Some(known));
        if found == Written::Done {
            users.check_unique(&user)?;
            let password = users.remove(user.id);
            users.insert(user, password);
        }
        Ok(found)
    }

    async fn replace_password(
        &self,
        id: UserId,
        known: SecretString,
        new: SecretString,
    ) -> Result<Written, StoreError> {
        let mut users = self.lock();
        let Some((_, password)) = users.by_id.get_mut(&id) else { return Ok(Written::Missing) };
        let is_known = password.as_ref().is_some_and(|it| it.expose_secret() == known.expose_secret());
        if is_known {
            *password = Some(new);
        }
        Ok(if is_known { Written::Done } else { Written::Changed })
    }

    async fn delete(&self, id: UserId, known: Option<Version>, event: Option<Event>) -> Result<Written, StoreError> {
        let mut users = self.lock();
        let found = users.look(id, known);
        if found == Written::Done {
            users.remove(id);
            self.report(event);
        }
        Ok(found)
    }

    async fn count(&self) -> Result<UserCounts, StoreError> {
        let users = self.lock();
        let active = users.by_id.values().filter(|(user, _)| user.is_active).count();
        Ok(UserCounts { total: to_u64(users.by_id.len()), active: to_u64(active) })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
