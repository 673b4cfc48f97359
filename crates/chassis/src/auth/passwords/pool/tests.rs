use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use futures_util::FutureExt;

use super::*;
use crate::telemetry::metrics::Metrics;

type Call<'a> = Pin<Box<dyn Future<Output = Result<Output, PasswordError>> + Send + 'a>>;

fn pool(threads: usize, waiting: usize) -> Pool {
    let size = PoolSize { threads: NonZeroUsize::new(threads).unwrap(), waiting };
    Pool::start(size, 8, PoolMetrics::register(&Metrics::new("test", "0"))).unwrap()
}

fn done() -> Result<Output, PasswordError> {
    Ok(Output::new(&[1; 32]).unwrap())
}

fn quick() -> Work {
    Box::new(|_| done())
}

/// A call whose thread stands still until the sender is used or dropped.
fn stopped(pool: &Pool) -> (Call<'_>, mpsc::Sender<()>) {
    let ((begin, begun), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let call = asked(
        pool,
        Box::new(move |_| {
            begin.send(()).unwrap();
            let _opened = gate.recv();
            done()
        }),
    );
    begun.recv().unwrap();
    (call, open)
}

/// A call that was made and is not answered yet.
fn asked(pool: &Pool, work: Work) -> Call<'_> {
    let mut call: Call<'_> = Box::pin(pool.run(work));
    assert_eq!((&mut call).now_or_never(), None);
    call
}

fn waiting(pool: &Pool) -> f64 {
    pool.shared.metrics.waiting.get()
}

#[tokio::test]
async fn a_full_pool_refuses_at_once_and_takes_calls_again_later() {
    let pool = pool(1, 1);
    let (first, open) = stopped(&pool);
    let second = asked(&pool, quick());
    assert_eq!(pool.run(quick()).now_or_never(), Some(Err(PasswordError::Busy)));
    assert_eq!((waiting(&pool), pool.shared.metrics.refused.get()), (1.0, 1));
    open.send(()).unwrap();
    assert_eq!((first.await, second.await), (done(), done()));
    assert_eq!((pool.run(quick()).await, waiting(&pool)), (done(), 0.0));
}

#[tokio::test]
async fn whoever_was_answered_may_come_again_at_once() {
    let pool = pool(1, 0);
    for _ in 0..1000 {
        assert_eq!(pool.run(quick()).await, done());
    }
}

#[tokio::test]
async fn the_work_of_a_caller_that_has_left_is_not_done_and_takes_no_place() {
    let pool = pool(1, 3);
    let (first, open) = stopped(&pool);
    let was_done = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&was_done);
    let work = Box::new(move |_: &mut Memory| {
        note.store(true, Ordering::Relaxed);
        done()
    });
    let (before, leaving, after) = (asked(&pool, quick()), asked(&pool, work), asked(&pool, quick()));
    drop(leaving);
    assert_eq!(Arc::strong_count(&was_done), 1, "what it knew is gone");
    assert_eq!(waiting(&pool), 2.0);
    let taken = asked(&pool, quick());
    open.send(()).unwrap();
    assert_eq!((first.await, before.await, after.await, taken.await), (done(), done(), done(), done()));
    assert!(!was_done.load(Ordering::Relaxed));
    assert_eq!(pool.shared.metrics.seconds.get_sample_count(), 4);
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_is_worked_for_blocks_nobody() {
    let pool = pool(1, 0);
    let (leaving, open) = stopped(&pool);
    drop(leaving);
    assert_eq!(pool.run(quick()).now_or_never(), Some(Err(PasswordError::Busy)));
    open.send(()).unwrap();
    while pool.run(quick()).await == Err(PasswordError::Busy) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn work_is_begun_in_the_order_of_asking() {
    let pool = pool(1, 20);
    let (first, open) = stopped(&pool);
    let (note, order) = mpsc::channel();
    let calls = (0..20).map(|number| {
        let note = note.clone();
        asked(
            &pool,
            Box::new(move |_| {
                note.send(number).unwrap();
                done()
            }),
        )
    });
    let calls: Vec<_> = calls.collect();
    open.send(()).unwrap();
    first.await.unwrap();
    futures_util::future::join_all(calls).await;
    assert!(order.try_iter().eq(0..20));
}

#[tokio::test]
async fn as_much_is_done_at_once_as_there_are_threads() {
    let pool = pool(3, 0);
    let calls: Vec<_> = (0..3).map(|_| stopped(&pool)).collect();
    assert_eq!(pool.run(quick()).now_or_never(), Some(Err(PasswordError::Busy)));
    for (call, open) in calls {
        drop(open);
        assert_eq!(call.await, done());
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_costs_no_thread() {
    let pool = pool(1, 0);
    for _ in 0..3 {
        let failed = pool.run(Box::new(|_| panic!("on purpose"))).await;
        assert_eq!(failed, Err(PasswordError::Failed("its thread has panicked".into())));
        assert_eq!(pool.run(quick()).await, done());
    }
}

#[tokio::test]
async fn the_threads_end_with_the_pool() {
    let pool = pool(4, 0);
    let (call, open) = stopped(&pool);
    drop(call);
    let threads = Arc::downgrade(&pool.shared);
    drop(pool);
    assert!(threads.strong_count() > 0, "one is still at work");
    drop(open);
    while threads.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn memory_is_kept_between_hashes_and_given_back_when_nobody_comes() {
    let pool = pool(1, 0);
    let pool = &pool;
    let had_memory = || {
        let (note, noted) = mpsc::channel();
        let work = Box::new(move |memory: &mut Memory| {
            note.send(!memory.is_empty()).unwrap();
            memory.blocks(8)?;
            done()
        });
        async move {
            pool.run(work).await.unwrap();
            noted.recv().unwrap()
        }
    };
    assert!(!had_memory().await);
    tokio::time::sleep(MEMORY_KEPT / 10).await;
    assert!(had_memory().await);
    tokio::time::sleep(MEMORY_KEPT * 3).await;
    assert!(!had_memory().await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_threads_step_back_and_no_other_does() {
    let niceness = || rustix::process::getpriority_process(None).unwrap();
    let (pool, (note, noted)) = (pool(1, 0), mpsc::channel());
    let work = move |_: &mut Memory| {
        note.send(niceness()).unwrap();
        done()
    };
    let own = niceness();
    pool.run(Box::new(work)).await.unwrap();
    assert_eq!(noted.recv().unwrap(), (own + NICENESS).min(19));
    assert_eq!(niceness(), own);
}
