//! Which events become lines: our own crates follow `LOG_LEVEL`, all others `LOG_FILTER`.

use std::sync::atomic::{AtomicU8, Ordering};

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{AUDIT, Level, LogError};

/// The first part of targets that are no module's, such as [`AUDIT`] and [`super::CRITICAL`].
const OWN_TARGETS: &str = "keelson";

/// Crates, by the beginning of their name, whose more talkative levels write requests with their signatures, answers with
/// the secrets that were asked for, or credentials. No setting brings those lines back.
const CAPPED: &[(&str, tracing::Level)] = &[
    ("aws_", tracing::Level::INFO),
    ("object_store", tracing::Level::INFO),
    ("h2", tracing::Level::DEBUG),
    ("hyper", tracing::Level::DEBUG),
    ("reqwest", tracing::Level::DEBUG),
    ("rustls", tracing::Level::DEBUG),
];

/// Decides about each event. The level of our own crates can change while the process runs.
#[derive(Debug)]
pub(super) struct Filter {
    own: AtomicU8,
    own_crates: &'static [&'static str],
    others: Targets,
    others_most: LevelFilter,
}

impl Filter {
    /// Reads the directives of `LOG_FILTER`: a level, or `target=level`, separated by commas.
    pub(super) fn new(own: Level, own_crates: &'static [&'static str], directives: &str) -> Result<Self, LogError> {
        let mut others = Targets::new().with_default(LevelFilter::WARN);
        let mut others_most = LevelFilter::WARN;
        for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            // A bare word is always a level. EnvFilter takes it for a crate at TRACE, so that a misspelt
            // level silences everything else without a word.
            let (target, level) = directive.rsplit_once('=').map_or((None, directive), |(t, l)| (Some(t.trim()), l));
            let level = third_party_level(level).ok_or_else(|| LogError::Filter(directive.to_owned()))?;
            others_most = others_most.max(level);
            others = match target {
                Some(target) => others.with_target(target, level),
                None => others.with_default(level),
            };
        }
        Ok(Self { own: AtomicU8::new(own as u8), own_crates, others, others_most })
    }

    pub(super) fn level(&self) -> Level {
        let stored = self.own.load(Ordering::Relaxed);
        [Level::Debug, Level::Info, Level::Warning, Level::Error]
            .into_iter()
            .find(|level| *level as u8 == stored)
            .unwrap_or(Level::Critical)
    }

    pub(super) fn set_level(&self, level: Level) {
        self.own.store(level as u8, Ordering::Relaxed);
    }

    pub(super) fn passes(&self, level: tracing::Level, target: &str) -> bool {
        if target == AUDIT {
            return true;
        }
        if self.is_own(target) {
            return level <= tracing::Level::DEBUG && Level::of_event(level, target) >= self.level();
        }
        let leaks = |(start, most): &(&str, tracing::Level)| level > *most && target.starts_with(start);
        !CAPPED.iter().any(leaks) && self.others.would_enable(target, &level)
    }

    /// The most talkative level that can pass at all; audit lines are INFO.
    pub(super) fn most(&self) -> LevelFilter {
        LevelFilter::from_level(self.level().most()).max(self.others_most).max(LevelFilter::INFO)
    }

    pub(super) fn is_own(&self, target: &str) -> bool {
        let crate_name = target.split_once("::").map_or(target, |(name, _)| name);
        crate_name == OWN_TARGETS || self.own_crates.contains(&crate_name)
    }
}

/// Takes tracing's names (off and trace among them) and the Python ones.
fn third_party_level(text: &str) -> Option<LevelFilter> {
    let python = || text.parse::<Level>().ok().map(|level| LevelFilter::from_level(level.most()));
    let named = || text.trim().parse::<LevelFilter>().ok();
    python().or_else(named)
}

#[cfg(test)]
mod tests {
    use tracing::Level as Event;

    use super::*;
    use crate::telemetry::logs::CRITICAL;

    const OWN: &[&str] = &["chassis"];

    #[test]
    fn our_crates_follow_the_level_and_others_the_filter() {
        let filter = Filter::new(Level::Debug, OWN, "warn,hyper=info,h2::codec=off").unwrap();
        assert!(filter.passes(Event::DEBUG, "chassis::run"));
        assert!(filter.passes(Event::WARN, "rustls"));
        assert!(!filter.passes(Event::INFO, "rustls"));
        assert!(filter.passes(Event::INFO, "hyper::proto"));
        assert!(!filter.passes(Event::ERROR, "h2::codec"));
        assert!(!filter.passes(Event::INFO, "pipeline_of_someone_else"));
    }

    #[test]
    fn python_names_and_an_empty_filter_are_understood() {
        assert!(!Filter::new(Level::Info, OWN, "").unwrap().passes(Event::INFO, "hyper"));
        assert!(Filter::new(Level::Info, OWN, "hyper=WARNING, INFO").unwrap().passes(Event::INFO, "rustls"));
        assert!(!Filter::new(Level::Info, OWN, "OFF").unwrap().passes(Event::ERROR, "rustls"));
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for bad in ["wran", "hyper=loud", "hyper"] {
            let refusal = Filter::new(Level::Info, OWN, bad).unwrap_err().to_string();
            assert!(refusal.contains(bad) && refusal.contains("LOG_FILTER"), "{refusal}");
        }
    }

    #[test]
    fn critical_alone_lets_nothing_else_through() {
        let filter = Filter::new(Level::Critical, OWN, "warn").unwrap();
        assert!(filter.passes(Event::ERROR, CRITICAL));
        assert!(!filter.passes(Event::ERROR, "chassis"));
        assert!(filter.passes(Event::INFO, AUDIT), "the audit log cannot be turned down");
        assert_eq!(filter.level(), Level::Critical);
    }

    #[test]
    fn crates_that_write_credentials_never_do_whatever_the_filter_says() {
        for directives in
            ["trace", "warn,aws_sigv4=trace,aws_smithy_runtime=debug,hyper=trace,h2=trace,object_store=trace"]
        {
            let filter = Filter::new(Level::Debug, OWN, directives).unwrap();
            for target in
                ["aws_sigv4::http_request", "aws_smithy_runtime::client::orchestrator", "object_store::client"]
            {
                assert!(!filter.passes(Event::DEBUG, target), "{directives}: {target}");
                assert!(!filter.passes(Event::TRACE, target), "{directives}: {target}");
            }
            for target in ["hyper::proto::h1", "hyper_util::client", "h2::codec", "reqwest::connect"] {
                assert!(!filter.passes(Event::TRACE, target), "{directives}: {target}");
            }
        }
        let filter = Filter::new(Level::Debug, OWN, "trace").unwrap();
        assert!(filter.passes(Event::INFO, "aws_config::default_provider"));
        assert!(filter.passes(Event::DEBUG, "hyper::proto::h1"));
        assert!(filter.passes(Event::TRACE, "somebody::else"));
    }
}
