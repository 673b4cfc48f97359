//! The routes of one listener as the edge knows them: which of them a path belongs to, before the router is asked.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::{Method, StatusCode};
use prometheus::Histogram;

use crate::telemetry::metrics::{Metrics, UNMATCHED, is_known};

/// Routes that load balancers and scrapers ask: never limited.
pub(super) const UNLIMITED: &[&str] = &["/health", "/health/live", "/health/ready", "/ready", "/metrics"];
/// Histograms that one route keeps at hand.
const MAX_DURATIONS: usize = 32;

/// All routes of a listener, found by the matcher that the framework's router has inside.
pub(super) struct RouteTable {
    known: matchit::Router<Arc<Route>>,
    unmatched: Arc<Route>,
}

impl RouteTable {
    /// The routes with these templates, such as `/orders/{id}`, which a router has taken before, each with whether its
    /// requests are passed on.
    #[expect(clippy::expect_used, reason = "the router of these routes has the same matcher and has taken them all")]
    pub(super) fn new(templates: impl IntoIterator<Item = (String, bool)>) -> Self {
        let mut known = matchit::Router::new();
        for (template, is_passed_on) in templates {
            let mut route = Route::new(&template, UNLIMITED.contains(&template.as_str()));
            route.is_passed_on = is_passed_on;
            let route = Arc::new(route);
            known.insert(template, route).expect("the templates of a router do not contradict each other");
        }
        Self { known, unmatched: Arc::new(Route::new(UNMATCHED, false)) }
    }

    /// The route of a path, or what stands for none.
    pub(super) fn find(&self, path: &str) -> Arc<Route> {
        Arc::clone(self.known.at(path).map_or(&self.unmatched, |found| found.value))
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTable").finish_non_exhaustive()
    }
}

/// One route, or what stands for none.
#[derive(Debug)]
pub(super) struct Route {
    /// Its label in metrics and log lines.
    pub(super) template: Box<str>,
    pub(super) is_unlimited: bool,
    /// Its requests are for another service, with what is encrypted for that.
    pub(super) is_passed_on: bool,
    /// Few, so that a walk over them is faster than a hash.
    durations: RwLock<Vec<(Method, StatusCode, Histogram)>>,
}

impl Route {
    fn new(template: &str, is_unlimited: bool) -> Self {
        Self { template: template.into(), is_unlimited, is_passed_on: false, durations: RwLock::default() }
    }

    /// Counts an answer of this route.
    pub(super) fn observe(&self, metrics: &Metrics, method: &Method, status: StatusCode, seconds: f64) {
        let known = |entry: &&(Method, StatusCode, Histogram)| entry.1 == status && entry.0 == *method;
        {
            let durations = self.durations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, histogram)) = durations.iter().find(known) {
                histogram.observe(seconds);
                return;
            }
        }
        let histogram = metrics.request_duration(method, &self.template, status);
        histogram.observe(seconds);
        let mut durations = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        // Methods are the client's to invent: what is not known has one label and no place here.
        if is_known(method) && durations.len() < MAX_DURATIONS && !durations.iter().any(|entry| known(&entry)) {
            durations.push((method.clone(), status, histogram));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_label_of_its_route_and_never_its_own() {
        let routes = RouteTable::new(["/health", "/orders/{id}", "/docs/{*rest}"].map(|path| (path.to_owned(), false)));
        for (path, template) in [
            ("/health", "/health"),
            ("/orders/42", "/orders/{id}"),
            ("/docs/a/b", "/docs/{*rest}"),
            ("/orders/42/", UNMATCHED),
            ("/health/", UNMATCHED),
            ("*", UNMATCHED),
            ("", UNMATCHED),
        ] {
            let route = routes.find(path);
            assert_eq!(&*route.template, template, "{path}");
            assert_eq!(route.is_unlimited, path == "/health", "{path}");
        }
    }
}
