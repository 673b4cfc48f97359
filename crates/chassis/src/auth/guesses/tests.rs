use std::sync::Barrier;

use super::*;
use crate::testing::ManualClock;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> (GuessLimits, Arc<ManualClock>) {
    let clock = ManualClock::new();
    (GuessLimits::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

/// One of many IPv4 networks.
fn network(number: u32) -> IpAddr {
    IpAddr::from((0x0b00_0000 + number).to_be_bytes())
}

fn fail(limits: &GuessLimits, account: &str, client: IpAddr) -> Result<(), Duration> {
    limits.admit(account, client).map(drop)
}

fn succeed(limits: &GuessLimits, account: &str, client: IpAddr) {
    limits.admit(account, client).unwrap().succeeded();
}

/// How many attempts pass until one is refused.
fn passing(limits: &GuessLimits, account: &str, client: IpAddr) -> usize {
    std::iter::from_fn(|| fail(limits, account, client).ok()).take(1000).count()
}

/// Makes an account one that is guessed at, by a hundred networks that are not used elsewhere.
fn guess_at(limits: &GuessLimits, account: &str) {
    for number in 0..100 {
        fail(limits, account, network(10_000 + number)).unwrap();
    }
}

#[test]
fn one_network_fails_ten_times_on_an_account_and_then_waits_for_the_rest_of_15_minutes() {
    let (limits, clock) = limits();
    for _ in 0..10 {
        fail(&limits, "anna", network(1)).unwrap();
        clock.advance(SECOND);
    }
    assert_eq!(fail(&limits, "anna", network(1)), Err(890 * SECOND));
    assert_eq!(passing(&limits, "anna", network(2)), 10, "another network has its own");
    assert_eq!(passing(&limits, "bert", network(1)), 10, "another account has its own");
    clock.advance(889 * SECOND);
    assert_eq!(fail(&limits, "anna", network(1)), Err(SECOND));
    clock.advance(SECOND);
    assert_eq!(passing(&limits, "anna", network(1)), 10);
}

#[test]
fn a_success_clears_the_failures_of_its_network_on_its_account_alone() {
    let (limits, _clock) = limits();
    for account in ["anna", "bert"] {
        for number in [1, 2] {
            (0..9).for_each(|_| fail(&limits, account, network(number)).unwrap());
        }
    }
    succeed(&limits, "anna", network(1));
    assert_eq!(passing(&limits, "anna", network(1)), 10);
    assert_eq!(passing(&limits, "anna", network(2)), 1);
    assert_eq!(passing(&limits, "bert", network(1)), 1);
}

#[test]
fn one_network_fails_a_hundred_times_on_all_accounts() {
    let (limits, clock) = limits();
    for number in 0..100 {
        fail(&limits, &format!("user {number}"), network(1)).unwrap();
    }
    assert_eq!(fail(&limits, "anna", network(1)), Err(WINDOW));
    assert_eq!(fail(&limits, "anna", network(2)), Ok(()));
    clock.advance(WINDOW);
    assert_eq!(fail(&limits, "anna", network(1)), Ok(()));
}

#[test]
fn whoever_has_an_account_of_its_own_guesses_no_more_on_others_by_it() {
    let (limits, _clock) = limits();
    let guesses = (0..1000).filter(|number| {
        let passed = fail(&limits, &format!("user {number}"), network(1)).is_ok();
        if let Ok(own) = limits.admit("own", network(1)) {
            own.succeeded();
        }
        passed
    });
    assert_eq!(guesses.count(), 100);
}

#[test]
fn successes_count_for_nothing() {
    let (limits, _clock) = limits();
    for number in 0..1000 {
        succeed(&limits, &format!("user {}", number % 7), network(1));
        succeed(&limits, "anna", network(number));
    }
    assert_eq!(passing(&limits, "anna", network(1)), 10);
}

#[test]
fn an_account_that_is_guessed_at_is_open_at_home_and_slow_elsewhere() {
    let (limits, clock) = limits();
    let (home, strange, stranger) = (network(1), network(2), network(3));
    succeed(&limits, "anna", home);
    guess_at(&limits, "anna");
    assert_eq!(fail(&limits, "anna", strange), Ok(()), "the one attempt of all strangers");
    clock.advance(SECOND);
    assert_eq!(fail(&limits, "anna", stranger), Err(9 * SECOND));
    for _ in 0..100 {
        succeed(&limits, "anna", home);
    }
    assert_eq!(fail(&limits, "anna", stranger), Err(9 * SECOND), "what passes at home opens nothing elsewhere");
    assert_eq!(passing(&limits, "anna", home), 10, "the limits of one network hold at home too");
    clock.advance(9 * SECOND);
    succeed(&limits, "anna", stranger);
    assert_eq!(passing(&limits, "anna", stranger), 10, "it is a home now");
    assert_eq!(passing(&limits, "bert", strange), 10, "another account is as it was");
    clock.advance(WINDOW);
    assert_eq!(fail(&limits, "anna", network(4)), Ok(()));
    assert_eq!(fail(&limits, "anna", network(5)), Ok(()), "nobody guesses any more");
}

#[test]
fn strangers_have_one_attempt_in_ten_seconds_however_many_they_are() {
    let (limits, clock) = limits();
    guess_at(&limits, "anna");
    let mut passed = 0;
    for second in 0..600_u32 {
        passed += (0..20).filter(|number| fail(&limits, "anna", network(second * 20 + number)).is_ok()).count();
        clock.advance(SECOND);
    }
    assert_eq!(passed, 60);
}

#[test]
fn a_home_is_forgotten_after_30_days_or_when_eight_others_are_newer() {
    let (limits, clock) = limits();
    let is_home = |number| {
        let (account, network) =
            (limits.keys("anna", network(number)).account, limits.keys("", network(number)).network);
        limits.lock().homes.contains(account, network, limits.clock.monotonic())
    };
    succeed(&limits, "anna", network(0));
    clock.advance(Duration::from_hours(30 * 24) - SECOND);
    assert!(is_home(0) && !is_home(1));
    clock.advance(SECOND);
    assert!(!is_home(0));
    for number in 0..10 {
        succeed(&limits, "anna", network(number));
        succeed(&limits, "anna", network(3));
    }
    assert!(!is_home(0) && !is_home(1) && (2..10).all(is_home));
}

#[test]
fn a_thousand_guesses_in_flight_at_once_pass_no_more_than_may_fail() {
    let (limits, _clock) = limits();
    let (barrier, rules) = (Barrier::new(10), ["one pair", "one network", "one account"]);
    for rule in rules {
        let guess = |number: u32| match rule {
            "one pair" => limits.admit("anna", network(1)),
            "one network" => limits.admit(&format!("user {number}"), network(2)),
            _ => limits.admit("bert", network(1000 + number)),
        };
        let of_a_thread = |thread: u32| {
            let _together = barrier.wait();
            (0..100).filter_map(|number| guess(thread * 100 + number).ok()).collect::<Vec<_>>()
        };
        let in_flight: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..10).map(|thread| scope.spawn(move || of_a_thread(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let allowed = match rule {
            "one pair" => 10,
            "one network" => 100,
            _ => 101,
        };
        assert_eq!(in_flight.len(), allowed, "{rule}");
    }
}

#[test]
fn what_is_withdrawn_counts_for_nothing_and_clears_nothing() {
    let (limits, _clock) = limits();
    guess_at(&limits, "anna");
    for _ in 0..1000 {
        limits.admit("anna", network(1)).unwrap().withdrawn();
        limits.admit("bert", network(1)).unwrap().withdrawn();
    }
    for _ in 0..5 {
        fail(&limits, "bert", network(1)).unwrap();
    }
    limits.admit("bert", network(1)).unwrap().withdrawn();
    assert_eq!(passing(&limits, "bert", network(1)), 5);
    assert_eq!(passing(&limits, "anna", network(1)), 1, "and makes no home");
}

#[test]
fn an_attempt_that_ends_after_its_window_takes_nothing_from_the_next() {
    let (limits, clock) = limits();
    let (withdrawn, _abandoned) =
        (limits.admit("anna", network(1)).unwrap(), limits.admit("anna", network(1)).unwrap());
    clock.advance(WINDOW);
    for _ in 0..10 {
        fail(&limits, "anna", network(1)).unwrap();
    }
    withdrawn.withdrawn();
    assert_eq!(fail(&limits, "anna", network(1)), Err(WINDOW));
}

#[test]
fn the_same_account_and_network_are_told_by_any_spelling() {
    let (limits, _clock) = limits();
    let spelled = [("Jörg", "2001:db8::1"), ("JÖRG", "2001:db8::ffff"), ("jörg", "2001:db8:0:0:ffff::")];
    for (account, client) in spelled.iter().cycle().take(10) {
        fail(&limits, account, client.parse().unwrap()).unwrap();
    }
    assert!(fail(&limits, "jÖrG", "2001:db8::2".parse().unwrap()).is_err());
    assert_eq!(passing(&limits, "jörg", "2001:db8:0:1::1".parse().unwrap()), 10, "another /64");
    assert_eq!(passing(&limits, "anna", "192.0.2.1".parse().unwrap()), 10);
    assert_eq!(passing(&limits, "anna", "::ffff:192.0.2.1".parse().unwrap()), 0, "the same, mapped into IPv6");
    assert_eq!(passing(&limits, "anna", "::ffff:192.0.2.2".parse().unwrap()), 10);
}

#[test]
fn loopback_clients_are_counted() {
    let (limits, _clock) = limits();
    assert_eq!(passing(&limits, "anna", "127.0.0.1".parse().unwrap()), 10);
    assert_eq!(passing(&limits, "anna", "::1".parse().unwrap()), 10);
}

#[test]
fn memory_is_bounded_however_many_guess_at_however_many_accounts() {
    let (limits, _clock) = limits();
    for number in 0..100_000 {
        let account = format!("user {number}");
        succeed(&limits, &account, network(number));
        fail(&limits, &account, network(number)).unwrap();
    }
    let state = limits.lock();
    for counter in [&state.pairs, &state.networks, &state.accounts, &state.strangers] {
        assert!(counter.len() <= counter::MAX_KEYS, "{}", counter.len());
    }
    assert!(state.homes.len() <= homes::MAX_ACCOUNTS, "{}", state.homes.len());
}

#[test]
fn no_more_of_a_name_is_read_than_of_the_longest_account() {
    let (limits, _clock) = limits();
    let long = "x".repeat(100_000);
    let (key, other) = (limits.keys(&long, network(1)), limits.keys(&format!("{long}y"), network(1)));
    assert_eq!(key.account, other.account);
    assert_ne!(key.account, limits.keys(&long[..255], network(1)).account);
}

#[test]
fn what_is_refused_is_not_counted_so_it_makes_nothing_forgotten() {
    let (limits, _clock) = limits();
    for number in 0..1000 {
        let _refused = fail(&limits, &format!("user {number}"), network(1));
    }
    let state = limits.lock();
    assert_eq!((state.pairs.len(), state.accounts.len(), state.networks.len()), (100, 100, 1));
}
