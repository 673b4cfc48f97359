//! What is read is what was written.

use super::{UserHarness, create, id, registered, user};
use crate::model::{Email, User, Version};

pub async fn a_created_user_reads_back_whole(harness: &impl UserHarness) {
    let store = harness.store();
    let ann = create(harness, user(1, "Ann@Example.com")).await;
    assert_eq!(store.find(ann.id).await.unwrap().unwrap(), ann);
    let nobody = User { age: None, is_active: false, version: Version(7), ..user(2, "nobody@example.com") };
    create(harness, nobody.clone()).await;
    assert_eq!(store.find(nobody.id).await.unwrap().unwrap(), nobody);
    let bob = registered(3, "Bob");
    store.create(bob.clone()).await.unwrap();
    assert_eq!(harness.other_process().await.find(bob.user.id).await.unwrap().unwrap(), bob.user);
}

pub async fn a_missing_user_is_none(harness: &impl UserHarness) {
    create(harness, user(1, "a@example.com")).await;
    assert_eq!(harness.store().find(id(2)).await.unwrap(), None);
}

pub async fn texts_come_back_as_they_were_given(harness: &impl UserHarness) {
    let long = "🦀".repeat(200);
    let names = [
        "'; DROP TABLE users; --",
        "\" OR \"\"=\"",
        "{\"$ne\": null}",
        "%00 \\0 \\u0000 %s ${x} {{x}}",
        "  blanks \t\r\n around  ",
        "👩‍👩‍👧‍👦 \u{202e}أهلا",
        "\u{feff}\u{fffd}\u{1}\u{7f}\u{85}",
        "NULL",
        &long,
    ];
    for (number, name) in (1..).zip(names) {
        let email = Email::parse(&format!("o'neil+{number}@Example.com")).unwrap();
        let named = create(harness, User { name: name.to_owned(), email, ..user(number, "a@b.cd") }).await;
        let found = harness.store().find(named.id).await.unwrap().unwrap();
        assert_eq!(found, named, "{name}");
    }
}
