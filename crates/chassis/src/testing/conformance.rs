//! Turns a list of cases into named tests. Each suite's own macro holds its list.

/// Makes one `#[tokio::test]` of each case. `$make` is an async function without arguments that gives
/// `Option<harness>`; with `None` (its server is not there; it has said so) the case passes unseen.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($make:path, $suite:ident, [$($case:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(harness) = $make().await {
                    $crate::testing::$suite::$case(&harness).await;
                }
            }
        )+
    };
}
