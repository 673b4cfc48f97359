//! Pages and counts.

use chassis::http::Page;

use super::{UserHarness, create, id, user};
use crate::model::{User, UserCounts, UserId};
use crate::store::UserList;

async fn page(harness: &impl UserHarness, skip: u64, limit: u64) -> (Vec<UserId>, u64) {
    let UserList { users, total } = harness.store().list(Page { skip, limit }).await.unwrap();
    (users.iter().map(|user| user.id).collect(), total)
}

async fn create_many(harness: &impl UserHarness, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        create(harness, user(number, &format!("{number}@example.com"))).await;
    }
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<UserId> {
    numbers.into_iter().map(id).collect()
}

pub async fn pages_have_the_order_of_creation(harness: &impl UserHarness) {
    create_many(harness, 0..10).await;
    assert_eq!(page(harness, 0, 100).await, (ids(0..10), 10));
    assert_eq!(page(harness, 3, 4).await, (ids(3..7), 10));
    let list = harness.store().list(Page { skip: 9, limit: 1 }).await.unwrap();
    assert_eq!(list.users, [user(9, "9@example.com")]);
    // Of one instant, in the order of the ids.
    let created_at = user(20, "20@example.com").created_at;
    let mut together: Vec<_> = (20..30).map(id).collect();
    for number in 20..30 {
        create(harness, User { created_at, ..user(number, &format!("{number}@example.com")) }).await;
    }
    together.sort_unstable();
    assert_eq!(page(harness, 10, 100).await, (together, 20));
}

pub async fn pages_hold_still_while_users_are_added(harness: &impl UserHarness) {
    create_many(harness, 0..6).await;
    let (first, _) = page(harness, 0, 3).await;
    create_many(harness, 6..9).await;
    let (second, total) = page(harness, 3, 3).await;
    create_many(harness, 9..12).await;
    let (third, _) = page(harness, 6, 3).await;
    assert_eq!(([first, second, third].concat(), total), (ids(0..9), 9));
}

pub async fn pages_beyond_the_end_are_empty(harness: &impl UserHarness) {
    assert_eq!(page(harness, 0, 100).await, (vec![], 0));
    create_many(harness, 0..2).await;
    assert_eq!(page(harness, 0, 0).await, (vec![], 2));
    assert_eq!(page(harness, 2, 10).await, (vec![], 2));
    assert_eq!(page(harness, i64::MAX as u64, 1000).await, (vec![], 2));
}

pub async fn users_are_counted(harness: &impl UserHarness) {
    assert_eq!(harness.store().count().await.unwrap(), UserCounts::default());
    create_many(harness, 0..3).await;
    create(harness, User { is_active: false, ..user(3, "3@example.com") }).await;
    assert_eq!(harness.store().count().await.unwrap(), UserCounts { total: 4, active: 3 });
}
