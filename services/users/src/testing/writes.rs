//! Changes and deletions, and who wins of many.

use std::time::Duration;

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::{UserHarness, create, hash, id, moment, registered, user};
use crate::model::{NewUser, User, UsernameKey, Version};
use crate::store::Written;

fn renamed(user: &User, name: &str) -> User {
    User { name: name.to_owned(), version: user.version.next(), updated_at: moment(99), ..user.clone() }
}

pub async fn a_change_needs_the_version_that_is_there(harness: &impl UserHarness) {
    let store = harness.store();
    let ann = create(harness, user(1, "ann@example.com")).await;
    let changed = User { age: None, is_active: false, ..renamed(&ann, "Anna") };
    assert_eq!(store.replace(changed.clone(), ann.version).await.unwrap(), Written::Done);
    assert_eq!(store.find(ann.id).await.unwrap().unwrap(), changed);
    assert_eq!(store.replace(renamed(&ann, "Hannah"), ann.version).await.unwrap(), Written::Changed);
    assert_eq!(store.find(ann.id).await.unwrap().unwrap(), changed);
    let nobody = user(2, "nobody@example.com");
    assert_eq!(store.replace(nobody, Version::FIRST).await.unwrap(), Written::Missing);
}

pub async fn of_many_changes_of_one_version_one_is_done(harness: &impl UserHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let ann = create(harness, user(1, "ann@example.com")).await;
    let changes = (0..50).map(|number| {
        let store = if number % 2 == 0 { &store } else { &other };
        store.replace(renamed(&ann, &format!("Ann {number}")), ann.version)
    });
    let outcomes = join_all(changes).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let winner = outcomes.iter().position(|written| *written == Written::Done).unwrap();
    assert_eq!(outcomes.iter().filter(|written| **written == Written::Changed).count(), 49);
    assert_eq!(store.find(ann.id).await.unwrap().unwrap().name, format!("Ann {winner}"));
}

pub async fn a_deletion_needs_the_version_that_it_names(harness: &impl UserHarness) {
    let store = harness.store();
    let ann = create(harness, user(1, "ann@example.com")).await;
    assert_eq!(store.delete(ann.id, Some(Version(2)), None).await.unwrap(), Written::Changed);
    assert_eq!(store.delete(ann.id, Some(ann.version), None).await.unwrap(), Written::Done);
    assert_eq!(store.find(ann.id).await.unwrap(), None);
    assert_eq!(store.delete(ann.id, Some(ann.version), None).await.unwrap(), Written::Missing);
    assert_eq!(store.delete(ann.id, None, None).await.unwrap(), Written::Missing);
    create(harness, user(2, "bob@example.com")).await;
    assert_eq!(store.delete(id(2), None, None).await.unwrap(), Written::Done);
    assert_eq!(store.count().await.unwrap().total, 0);
}

pub async fn credentials_follow_the_user(harness: &impl UserHarness) {
    let store = harness.store();
    let find = |name: &str| {
        let (store, key) = (harness.store(), UsernameKey::of(name));
        async move { store.find_credentials(&key).await.unwrap() }
    };
    create(harness, User { name: "carol".into(), ..user(9, "carol@example.com") }).await;
    assert!(find("carol").await.is_none(), "without a password nobody logs in");
    let ann = registered(1, "Ann");
    store.create(ann.clone()).await.unwrap();
    let found = find("aNN").await.unwrap();
    assert_eq!((found.id, found.username.as_str(), found.is_active), (ann.user.id, "Ann", true));
    assert_eq!(found.password.expose_secret(), hash("first").expose_secret());

    let changed = User { is_active: false, ..renamed(&ann.user, "Anna") };
    assert_eq!(store.replace(changed, ann.user.version).await.unwrap(), Written::Done);
    assert!(find("ann").await.is_none());
    let found = find("anna").await.unwrap();
    assert_eq!((found.username.as_str(), found.is_active), ("Anna", false));
    assert_eq!(found.password.expose_secret(), hash("first").expose_secret(), "a change keeps the password");
    assert_eq!(store.delete(ann.user.id, None, None).await.unwrap(), Written::Done);
    assert!(find("anna").await.is_none());
}

pub async fn a_password_is_replaced_where_it_is_known(harness: &impl UserHarness) {
    let store = harness.store();
    store.create(registered(1, "ann")).await.unwrap();
    create(harness, user(2, "bob@example.com")).await;
    let replace = |number, known, new| store.replace_password(id(number), hash(known), hash(new));
    assert_eq!(replace(1, "first", "second").await.unwrap(), Written::Done);
    assert_eq!(replace(1, "first", "third").await.unwrap(), Written::Changed);
    assert_eq!(replace(2, "first", "third").await.unwrap(), Written::Changed, "it has none");
    assert_eq!(replace(3, "first", "third").await.unwrap(), Written::Missing);
    let found = store.find_credentials(&UsernameKey::of("ann")).await.unwrap().unwrap();
    assert_eq!(found.password.expose_secret(), hash("second").expose_secret());
    assert_eq!(store.find(id(1)).await.unwrap().unwrap().version, Version::FIRST);
    assert!(!store.find(id(2)).await.unwrap().unwrap().is_registered);
}

pub async fn many_writes_at_once_are_all_there(harness: &impl UserHarness) {
    let store = harness.store();
    let creates = (0..500).map(|number| {
        let user = user(number, &format!("{number}@example.com"));
        store.create(NewUser::new(user))
    });
    assert!(join_all(creates).await.into_iter().all(|outcome| outcome.is_ok()));
    let finds = (0..500).map(|number| store.find(id(number)));
    for (number, found) in (0..).zip(join_all(finds).await) {
        assert_eq!(found.unwrap().unwrap(), user(number, &format!("{number}@example.com")));
    }
    assert_eq!(store.count().await.unwrap().total, 500);
}

pub async fn a_caller_that_leaves_harms_nobody(harness: &impl UserHarness) {
    let store = harness.store();
    let left = (0..50).map(|number| {
        let user = user(number, &format!("{number}@example.com"));
        timeout(Duration::ZERO, store.create(NewUser::new(user)))
    });
    join_all(left).await;
    let find = timeout(Duration::ZERO, store.find(id(1))).await;
    drop(find);
    let late = create(harness, user(100, "100@example.com")).await;
    assert_eq!(store.find(late.id).await.unwrap().unwrap(), late);
    let total = store.count().await.unwrap().total;
    assert!((1..=51).contains(&total), "{total}");
}

pub async fn the_store_answers_a_ping(harness: &impl UserHarness) {
    harness.store().ping().await.unwrap();
    harness.other_process().await.ping().await.unwrap();
}
