use std::num::NonZeroUsize;

use super::*;

fn hasher_with(memory_kib: u32, passes: u32) -> PasswordHasher {
    let params = Params::new(memory_kib, passes, 1, Some(OUTPUT_BYTES)).unwrap();
    let size = PoolSize::of(NonZeroUsize::MIN);
    PasswordHasher::with_params(params, size, &Metrics::new("test", "0")).unwrap()
}

fn hasher() -> PasswordHasher {
    hasher_with(32, 1)
}

async fn verify(hasher: &PasswordHasher, password: &str, stored: &str) -> Result<Check, PasswordError> {
    hasher.verify(password.into(), Some(PasswordHash::from_stored(stored))).await
}

#[tokio::test]
async fn the_right_password_is_right_and_every_other_is_wrong() {
    let hasher = hasher();
    let stored = hasher.hash("correct horse".into()).await.unwrap();
    assert_eq!(verify(&hasher, "correct horse", stored.as_str()).await, Ok(Check::Right));
    for wrong in ["", "correct hors", "correct horse ", "Correct horse", "correct horse\0"] {
        assert_eq!(verify(&hasher, wrong, stored.as_str()).await, Ok(Check::Wrong), "{wrong:?}");
    }
}

#[tokio::test]
async fn without_a_stored_hash_the_same_work_is_done_and_every_password_is_wrong() {
    let metrics = Metrics::new("test", "0");
    let params = Params::new(32, 1, 1, Some(OUTPUT_BYTES)).unwrap();
    let hasher = PasswordHasher::with_params(params, PoolSize::of(NonZeroUsize::MIN), &metrics).unwrap();
    for password in ["", "password", "correct horse"] {
        assert_eq!(hasher.verify(password.into(), None).await, Ok(Check::Wrong));
    }
    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    assert!(page.contains("password_hash_duration_seconds_count{service=\"test\"} 3"), "{page}");
    assert!(hasher.dummy.recipe.is_up_to_date(&hasher.params));
}

#[tokio::test]
async fn a_hash_has_the_parameters_of_owasp_and_a_salt_of_its_own() {
    let hasher = PasswordHasher::start(PoolSize::of(NonZeroUsize::MIN), &Metrics::new("test", "0")).unwrap();
    let one = hasher.hash("correct horse".into()).await.unwrap();
    let other = hasher.hash("correct horse".into()).await.unwrap();
    let [_, algorithm, version, params, salt, output] = one.as_str().split('$').collect::<Vec<_>>()[..] else {
        panic!("{}", one.as_str())
    };
    assert_eq!((algorithm, version, params), ("argon2id", "v=19", "m=19456,t=2,p=1"));
    assert_eq!((salt.len(), output.len()), (22, 43), "16 and 32 bytes");
    assert!(!other.as_str().contains(salt) && !other.as_str().contains(output));
}

#[tokio::test]
async fn hashes_that_other_programs_made_are_verified() {
    let hasher = PasswordHasher::start(PoolSize::of(NonZeroUsize::MIN), &Metrics::new("test", "0")).unwrap();
    let others = [
        // argon2-cffi 25.1.0, the C library
        (
            "correct horse battery staple",
            "$argon2id$v=19$m=19456,t=2,p=1$UooRP0bZpORgRrHNyET9pQ$vCIQSp2uwi1VbxZwRCqJ3AUg0dVi9aKc+NfCqyJnjtA",
            Check::Right,
        ),
        (
            "grüße aus köln",
            "$argon2id$v=19$m=1024,t=3,p=4$bwaeIqPdDgCO+C/YF1+hUA$q3eTN6T1xl+5NQGvlchWvMQYE8UjqU2l6XS1KY2Okbw",
            Check::RightButOutdated,
        ),
        // the tests of the reference implementation (phc-winner-argon2, src/test.c)
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            Check::RightButOutdated,
        ),
        (
            "password",
            "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
            Check::RightButOutdated,
        ),
    ];
    for (password, stored, check) in others {
        assert_eq!(verify(&hasher, password, stored).await, Ok(check), "{stored}");
        assert_eq!(verify(&hasher, "sassword", stored).await, Ok(Check::Wrong), "{stored}");
    }
}

#[tokio::test]
async fn a_hash_with_other_parameters_is_right_and_has_to_be_made_anew() {
    let (before, hasher) = (hasher_with(16, 3), hasher());
    let old = before.hash("correct horse".into()).await.unwrap();
    assert_eq!(verify(&hasher, "correct horse", old.as_str()).await, Ok(Check::RightButOutdated));
    assert_eq!(verify(&hasher, "wrong horse", old.as_str()).await, Ok(Check::Wrong));
    let anew = hasher.hash("correct horse".into()).await.unwrap();
    assert_eq!(verify(&hasher, "correct horse", anew.as_str()).await, Ok(Check::Right));
}

#[tokio::test]
async fn a_damaged_hash_is_an_error_that_shows_nothing_of_it() {
    const RESULT: &str = "9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ";
    let hasher = hasher();
    let damaged = [
        String::new(),
        RESULT.to_owned(),
        format!("$2b$12${RESULT}"),
        format!("$scrypt$ln=16,r=8,p=1$c29tZXNhbHQ${RESULT}"),
        "$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHQ".to_owned(),
        format!("$argon2id$v=42$m=32,t=1,p=1$c29tZXNhbHQ${RESULT}"),
        format!("$argon2id$v=19$m=32,t=0,p=1$c29tZXNhbHQ${RESULT}"),
        format!("$argon2id$v=19$m=32,t=1,p=5$c29tZXNhbHQ${RESULT}"),
        format!("$argon2id$v=19$m=32,t=1,p=1$c29t${RESULT}"),
        format!("$argon2id$v=19$m=32,t=1,p=1$c29tZXNhbHQ${RESULT}!"),
        format!("$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ${RESULT}"),
        format!("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ${RESULT}"),
        format!("$argon2id$v=19$m=32,t=11,p=1$c29tZXNhbHQ${RESULT}"),
    ];
    for stored in damaged {
        let error = verify(&hasher, "password", &stored).await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", PasswordHash::from_stored(stored.as_str()));
        assert!(matches!(error, PasswordError::Damaged(_)), "{stored}: {text}");
        assert!(!text.contains("9sTbS") && !text.contains("c29t"), "{text}");
    }
}

#[tokio::test]
async fn only_the_algorithm_and_its_parameters_are_printed() {
    let hasher = hasher();
    let stored = hasher.hash("correct horse".into()).await.unwrap();
    assert_eq!(format!("{stored:?}"), "PasswordHash(argon2id v=19 m=32,t=1,p=1)");
    let (debug, salt) = (format!("{hasher:?}"), stored.as_str().split('$').nth(4).unwrap().to_owned());
    assert!(!debug.contains(&salt) && debug.contains("Stored(argon2id v=19 m=32,t=1,p=1)"), "{debug}");
}

#[tokio::test]
async fn a_full_pool_is_answered_with_503_and_a_time_to_wait() {
    use crate::error::{Error, Kind};
    let busy = Error::from(PasswordError::Busy);
    assert_eq!((busy.kind(), busy.retry_after.unwrap().as_secs()), (Kind::Overloaded, 2));
    assert_eq!(Error::from(PasswordError::Damaged(String::new())).kind(), Kind::Internal);
}
