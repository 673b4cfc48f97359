//! One fsync of a folder for all who wait for it.
//!
//! A name is on the disk after any fsync of its folder that began when the name was there. So one caller syncs, and
//! those who come meanwhile wait for the next time, which is one for all of them. The times of one folder follow each
//! other: no other of its fsyncs can take the report of a failure and then succeed.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::ports::objects::ObjectError;

/// What is called when it is known whether the disk has it.
pub(super) type Waiter = Box<dyn FnOnce(Result<(), ObjectError>) + Send>;

/// Who waits for which folder. A folder that is here is being synced by somebody, who will look again.
#[derive(Default)]
pub(super) struct Together {
    waiting: Mutex<HashMap<String, Vec<Waiter>>>,
}

impl Together {
    /// Has `waiter` called after a `sync` of the folder that began after this call: one of this thread, which then goes
    /// on for as long as others come, or one of the thread that is at it.
    pub(super) fn sync(&self, folder: &str, waiter: Waiter, sync: impl Fn() -> Result<(), ObjectError>) {
        if !self.join(folder, waiter) {
            return;
        }
        while let Some(waiters) = self.take(folder) {
            // After a panic nobody would sync this folder any more, and all would wait for ever.
            let outcome = catch_unwind(AssertUnwindSafe(&sync)).unwrap_or_else(|_| Err(panicked()));
            tell(waiters, &outcome);
        }
    }

    /// Whether there is nobody yet who syncs this folder.
    fn join(&self, folder: &str, waiter: Waiter) -> bool {
        let mut waiting = self.lock();
        if let Some(others) = waiting.get_mut(folder) {
            others.push(waiter);
            return false;
        }
        waiting.insert(folder.to_owned(), vec![waiter]);
        true
    }

    fn take(&self, folder: &str) -> Option<Vec<Waiter>> {
        let mut waiting = self.lock();
        let waiters = waiting.get_mut(folder).map(std::mem::take).filter(|waiters| !waiters.is_empty());
        if waiters.is_none() {
            waiting.remove(folder);
        }
        waiters
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Waiter>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(waiters: Vec<Waiter>, outcome: &Result<(), ObjectError>) {
    for waiter in waiters {
        let outcome = outcome.clone();
        // The panic hook has told of it, and the others must not wait for ever for this one.
        let _panic = catch_unwind(AssertUnwindSafe(|| waiter(outcome)));
    }
}

fn panicked() -> ObjectError {
    ObjectError::Other("the fsync of the folder panicked".into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Barrier};

    use super::*;

    type Answer = (usize, Result<(), ObjectError>);

    fn waiter(number: usize, answers: &Sender<Answer>) -> Waiter {
        let answers = answers.clone();
        Box::new(move |outcome| answers.send((number, outcome)).unwrap())
    }

    fn failed() -> Result<(), ObjectError> {
        Err(ObjectError::Unavailable("EIO".into()))
    }

    /// Three callers, of whom two come while the first one's sync is under way, which is the first to return.
    fn three(outcomes: [fn() -> Result<(), ObjectError>; 2]) -> (Receiver<Answer>, usize) {
        let (together, syncs) = (Arc::new(Together::default()), Arc::new(AtomicUsize::new(0)));
        let (begun, joined) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (answers, received) = channel();
        let leader = {
            let (together, syncs, begun, joined) = (together.clone(), syncs.clone(), begun.clone(), joined.clone());
            let answers = answers.clone();
            std::thread::spawn(move || {
                together.sync("day", waiter(0, &answers), || {
                    let number = syncs.fetch_add(1, Ordering::SeqCst);
                    if number == 0 {
                        begun.wait();
                        joined.wait();
                    }
                    outcomes[number]()
                });
            })
        };
        begun.wait();
        for number in [1, 2] {
            together.sync("day", waiter(number, &answers), || panic!("somebody is at it"));
        }
        assert!(received.try_recv().is_err(), "a waiter took a sync that began before it came");
        joined.wait();
        leader.join().unwrap();
        assert!(together.lock().is_empty(), "somebody is still taken to sync");
        (received, syncs.load(Ordering::SeqCst))
    }

    #[test]
    fn who_comes_during_a_sync_waits_for_the_next_one_which_all_share() {
        let (answers, syncs) = three([|| Ok(()), || Ok(())]);
        let answers: Vec<_> = answers.try_iter().map(|(number, outcome)| (number, outcome.is_ok())).collect();
        assert_eq!(answers, [(0, true), (1, true), (2, true)]);
        assert_eq!(syncs, 2);
    }

    #[test]
    fn a_failure_is_told_to_all_who_waited_for_it_and_to_nobody_else() {
        let (answers, _) = three([|| Ok(()), failed]);
        let answers: Vec<_> = answers.try_iter().map(|(number, outcome)| (number, outcome.is_ok())).collect();
        assert_eq!(answers, [(0, true), (1, false), (2, false)]);
        let (answers, _) = three([failed, || Ok(())]);
        let answers: Vec<_> = answers.try_iter().map(|(number, outcome)| (number, outcome.is_ok())).collect();
        assert_eq!(answers, [(0, false), (1, true), (2, true)]);
    }

    #[test]
    fn after_a_panic_nobody_waits_for_ever() {
        let (answers, _) = three([|| panic!("as a test"), || Ok(())]);
        let answers: Vec<_> = answers.try_iter().map(|(number, outcome)| (number, outcome.is_ok())).collect();
        assert_eq!(answers, [(0, false), (1, true), (2, true)]);
    }

    #[test]
    fn a_waiter_that_panics_leaves_the_folder_to_the_others() {
        let together = Together::default();
        let (answers, received) = channel();
        // A second one in the same time, which the panic of the first must not keep from its answer.
        assert!(together.join("day", Box::new(|_| panic!("as a test"))));
        assert!(!together.join("day", waiter(1, &answers)));
        let waiters = together.take("day").unwrap();
        tell(waiters, &Ok(()));
        assert_eq!(received.try_recv().unwrap().0, 1);
        assert!(together.take("day").is_none());
        together.sync("day", waiter(2, &answers), || Ok(()));
        assert_eq!(received.try_recv().unwrap().0, 2);
    }

    #[test]
    fn folders_do_not_wait_for_each_other() {
        let together = Together::default();
        let (answers, received) = channel();
        together.sync("day", waiter(0, &answers), || {
            together.sync("other day", waiter(1, &answers), || Ok(()));
            assert_eq!(received.try_recv().unwrap().0, 1);
            Ok(())
        });
        assert_eq!(received.try_recv().unwrap().0, 0);
    }
}
