//! What only one user may have.

use futures_util::future::join_all;

use super::{UserHarness, create, hash, registered, user};
use crate::model::{Email, NewUser, User, Version};
use crate::store::{StoreError, Unique, Written};

fn taken(result: Result<impl Sized, StoreError>) -> Option<Unique> {
    match result {
        Ok(_) => None,
        Err(StoreError::Taken(unique)) => Some(unique),
        Err(other) => panic!("{other}"),
    }
}

pub async fn of_a_hundred_creates_of_one_address_one_succeeds(harness: &impl UserHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let creates = (0..100).map(|number| {
        let store = if number % 2 == 0 { &store } else { &other };
        store.create(NewUser::new(user(number, "One@Example.com")))
    });
    let outcomes: Vec<_> = join_all(creates).await.into_iter().map(taken).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Some(Unique::Email)).count(), 99);
    assert_eq!(store.count().await.unwrap().total, 1);
}

pub async fn processes_share_what_is_unique(harness: &impl UserHarness) {
    create(harness, user(1, "a@example.com")).await;
    let other = harness.other_process().await;
    let again = other.create(NewUser::new(user(2, "A@example.com"))).await;
    assert_eq!(taken(again), Some(Unique::Email));
    assert!(other.find(super::id(1)).await.unwrap().is_some());
}

pub async fn a_taken_address_fails_alone(harness: &impl UserHarness) {
    create(harness, user(0, "taken@example.com")).await;
    let store = harness.store();
    let creates = (1..=50).map(|number| {
        let email = if number == 25 { "taken@example.com".to_owned() } else { format!("{number}@example.com") };
        store.create(NewUser::new(user(number, &email)))
    });
    let outcomes: Vec<_> = join_all(creates).await.into_iter().map(taken).collect();
    let expected: Vec<_> = (1..=50).map(|number| (number == 25).then_some(Unique::Email)).collect();
    assert_eq!(outcomes, expected);
}

pub async fn case_and_forms_make_no_other_address(harness: &impl UserHarness) {
    create(harness, user(1, "JÖRG@exämple.de")).await;
    let store = harness.store();
    for (number, same) in [(2, "jörg@exämple.de"), (3, "jo\u{308}rg@EXÄMPLE.de"), (4, "Jörg@xn--exmple-cua.de")] {
        let again = store.create(NewUser::new(user(number, same))).await;
        assert_eq!(taken(again), Some(Unique::Email), "{same}");
    }
    create(harness, user(5, "jorg@example.de")).await;
}

pub async fn usernames_are_unique_among_the_registered_alone(harness: &impl UserHarness) {
    let store = harness.store();
    let named_ann = |number| User { name: "ann".into(), ..user(number, &format!("{number}@example.org")) };
    create(harness, named_ann(1)).await;
    store.create(registered(2, "Ann")).await.unwrap();
    create(harness, named_ann(3)).await;
    assert_eq!(taken(store.create(registered(4, "aNN")).await), Some(Unique::Username));
    let mut both = registered(5, "ANN");
    both.user.email = Email::parse("1@example.org").unwrap();
    assert_eq!(taken(store.create(both).await), Some(Unique::Email), "the address is named of the two");
}

pub async fn a_change_to_what_another_has_is_refused(harness: &impl UserHarness) {
    let store = harness.store();
    let first = create(harness, user(1, "first@example.com")).await;
    let second = create(harness, user(2, "second@example.com")).await;
    let wanted = User { email: first.email.clone(), version: Version(2), ..second.clone() };
    assert_eq!(taken(store.replace(wanted, second.version).await), Some(Unique::Email));
    assert_eq!(store.find(second.id).await.unwrap().unwrap(), second);
    let same = User { email: Email::parse("SECOND@example.com").unwrap(), version: Version(2), ..second.clone() };
    assert_eq!(store.replace(same.clone(), second.version).await.unwrap(), Written::Done, "it is one's own");
    assert_eq!(store.find(second.id).await.unwrap().unwrap(), same);

    store.create(registered(3, "ann")).await.unwrap();
    let bob = registered(4, "bob");
    store.create(bob.clone()).await.unwrap();
    let renamed = User { name: "ANN".into(), version: Version(2), ..bob.user.clone() };
    assert_eq!(taken(store.replace(renamed, bob.user.version).await), Some(Unique::Username));
}

pub async fn what_was_given_up_can_be_taken(harness: &impl UserHarness) {
    let store = harness.store();
    let ann = registered(1, "ann");
    store.create(ann.clone()).await.unwrap();
    let email = Email::parse("new@example.com").unwrap();
    let renamed = User { name: "anna".into(), email, version: Version(2), ..ann.user.clone() };
    assert_eq!(store.replace(renamed, ann.user.version).await.unwrap(), Written::Done);
    let mut next = registered(2, "Ann");
    next.user.email = ann.user.email.clone();
    store.create(next).await.unwrap();
    assert_eq!(store.delete(ann.user.id, None, None).await.unwrap(), Written::Done);
    let again = User { id: super::id(3), email: Email::parse("NEW@example.com").unwrap(), ..ann.user };
    let again = User { name: "ANNA".into(), ..again };
    store.create(NewUser { password: Some(hash("other")), ..NewUser::new(again) }).await.unwrap();
}
