//! Routes with who may call them. One cannot be added without saying so.

use std::convert::Infallible;
use std::fmt;

use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::future::{Either, ready};
use http::request::Parts;
use tower::layer::layer_fn;
use tower::{Layer, Service, service_fn};
use utoipa::openapi::Response as DocumentedResponse;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::bearer::Shown;
use super::docs::{USER, add_answer, operations};
use super::encryption::Decrypted;
use crate::auth::{Access, Caller, SERVICE_SCOPE};
use crate::config::{ChassisConfig, EncryptionConfig};
use crate::error::{Error, Kind};

/// The routes of a service, each with who may call it.
#[derive(Clone)]
pub struct Routes<S = ()> {
    declared: Vec<Declared<S>>,
}

#[derive(Clone)]
struct Declared<S> {
    access: Access,
    /// Services encrypt what they send there.
    is_encrypted: bool,
    handlers: UtoipaMethodRouter<S>,
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("declared", &self.declared.len()).finish()
    }
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self { declared: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what `routes!` makes of handlers that all have the same access.
    #[must_use]
    pub fn route(self, access: Access, handlers: UtoipaMethodRouter<S>) -> Self {
        self.declare(Declared { access, is_encrypted: false, handlers })
    }

    /// The same for handlers whose requests are encrypted: in production those of other services, and with
    /// `REQUIRE_ENCRYPTION` all of them. To the other routes a request may be encrypted.
    #[must_use]
    pub fn encrypted_route(self, access: Access, handlers: UtoipaMethodRouter<S>) -> Self {
        self.declare(Declared { access, is_encrypted: true, handlers })
    }

    /// Adds a handler that passes requests on to another service, with what is encrypted for that.
    #[must_use]
    pub fn passed_on(self, mut handlers: UtoipaMethodRouter<S>) -> Self {
        for operation in handlers.1.paths.values_mut().flat_map(operations) {
            let passed_on = ExtensionsBuilder::new().add(PASSED_ON, true).build();
            operation.extensions.get_or_insert_default().merge(passed_on);
        }
        self.route(Access::Public, handlers)
    }

    fn declare(mut self, declared: Declared<S>) -> Self {
        self.declared.push(declared);
        self
    }

    /// Gives the handlers what they work with.
    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        let given = |Declared { access, is_encrypted, handlers: (schemas, paths, handlers) }: Declared<S>| Declared {
            access,
            is_encrypted,
            handlers: (schemas, paths, handlers.with_state(state.clone())),
        };
        Routes { declared: self.declared.into_iter().map(given).collect() }
    }

    pub(crate) fn merge(mut self, others: Self) -> Self {
        self.declared.extend(others.declared);
        self
    }

    /// Puts the guards in front.
    pub(super) fn guarded(self, guards: Guards) -> OpenApiRouter<S> {
        self.declared.into_iter().fold(OpenApiRouter::new(), |router, declared| {
            let Declared { access, is_encrypted, mut handlers } = declared;
            let encrypted_by = if is_encrypted { guards.encrypted_by } else { Callers::Nobody };
            if access == Access::Public && encrypted_by == Callers::Nobody {
                return router.routes(handlers);
            }
            for item in handlers.1.paths.values_mut() {
                operations(item).for_each(|operation| {
                    describe(operation, access, guards.production);
                    describe_encryption(operation, encrypted_by);
                });
            }
            // Around the handlers alone: a wrong method is 405 for everybody.
            let declared = Guard { access, production: guards.production, encrypted_by };
            handlers.2 = handlers.2.route_layer(guard(move |request| declared.admit(request)));
            router.routes(handlers)
        })
    }
}

/// What a route says to whoever has to encrypt and does not.
pub(crate) const ENCRYPTION_REQUIRED: &str = "Encrypted request required";

/// Says in the document that requests of a path are passed on.
const PASSED_ON: &str = "x-passed-on";

/// Whether requests of a path are passed on.
pub(super) fn is_passed_on(item: &PathItem) -> bool {
    let all = [&item.get, &item.put, &item.post, &item.delete, &item.options, &item.head, &item.patch, &item.trace];
    all.into_iter()
        .flatten()
        .any(|operation| operation.extensions.as_ref().is_some_and(|it| it.contains_key(PASSED_ON)))
}

/// What all guards of a service hold to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guards {
    production: bool,
    /// Who has to encrypt what is sent to the routes that ask for it.
    encrypted_by: Callers,
}

/// Some of those who call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Callers {
    Nobody,
    Services,
    Everybody,
}

impl Guards {
    /// As production has them unless it is told otherwise, for the API document.
    pub(super) const OF_PRODUCTION: Self = Self { production: true, encrypted_by: Callers::Services };

    pub(super) fn of(config: &ChassisConfig) -> Self {
        let encrypted_by = match &config.encryption {
            EncryptionConfig { required: true, .. } => Callers::Everybody,
            EncryptionConfig { encrypts_calls, .. } if *encrypts_calls && config.production => Callers::Services,
            _ => Callers::Nobody,
        };
        Self { production: config.production, encrypted_by }
    }
}

/// Says in the document who may call: in development, nobody needs the token that production asks for.
fn describe(operation: &mut Operation, access: Access, production: bool) {
    if access == Access::Public {
        return;
    }
    let scopes: Vec<&str> = match access {
        Access::Scope(scope) | Access::Own(scope) => vec![scope],
        Access::Public | Access::Bearer => Vec::new(),
    };
    let nobody = (!production && access != Access::Bearer).then(SecurityRequirement::default);
    operation.security = Some([SecurityRequirement::new(USER, scopes)].into_iter().chain(nobody).collect());
    add_answer(operation, "401", || DocumentedResponse::new("The token is missing, invalid or expired").into());
    if let Access::Scope(scope) | Access::Own(scope) = access {
        let text = format!("The token lacks the scope {scope}");
        add_answer(operation, "403", || DocumentedResponse::new(text).into());
    }
}

fn describe_encryption(operation: &mut Operation, encrypted_by: Callers) {
    let who = match encrypted_by {
        Callers::Nobody => return,
        Callers::Services => "Another service has sent the request in plain text",
        Callers::Everybody => "The request was sent in plain text",
    };
    add_answer(operation, "400", || DocumentedResponse::new(who).into());
}

#[derive(Debug, Clone, Copy)]
struct Guard {
    access: Access,
    production: bool,
    encrypted_by: Callers,
}

impl Guard {
    fn admit(self, request: &mut Request) -> Result<(), Error> {
        let shown = request.extensions().get::<Shown>();
        let is_service = matches!(shown, Some(Shown::Good(claims)) if claims.has_scope(SERVICE_SCOPE));
        if self.access != Access::Public {
            let caller = self.caller(request.extensions_mut().remove::<Shown>())?;
            request.extensions_mut().insert(caller);
        }
        let has_to_encrypt = match self.encrypted_by {
            Callers::Nobody => false,
            Callers::Services => is_service,
            Callers::Everybody => true,
        };
        if has_to_encrypt && request.extensions().get::<Decrypted>().is_none() {
            return Err(Error::new(Kind::BadRequest, ENCRYPTION_REQUIRED));
        }
        Ok(())
    }

    fn caller(self, shown: Option<Shown>) -> Result<Caller, Error> {
        let unauthorized = |text| Err(Error::new(Kind::Unauthorized, text));
        let claims = match shown {
            Some(Shown::Good(claims)) => Some(claims),
            Some(Shown::Bad) => return unauthorized("Invalid or expired token"),
            Some(Shown::Unknown(failure)) => return Err(failure.into()),
            None if self.production || self.access == Access::Bearer => {
                return unauthorized("Access token is missing");
            }
            None => None,
        };
        let caller = Caller::new(claims, !self.production);
        if let Access::Scope(scope) = self.access
            && !caller.has(scope)
        {
            return Err(lacks(scope));
        }
        Ok(caller)
    }
}

/// 403: the token is good and does not say that its bearer may do this.
#[must_use]
pub fn lacks(scope: &str) -> Error {
    Error::new(Kind::Forbidden, format!("The token lacks the scope {scope}"))
}

/// Lets those requests through to a route that `admit` does not refuse.
pub(super) fn guard(
    admit: impl Fn(&mut Request) -> Result<(), Error> + Clone + Send + Sync + 'static,
) -> impl Layer<
    Route,
    Service: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync,
> + Clone
+ Send
+ Sync {
    layer_fn(move |mut inner: Route| {
        let admit = admit.clone();
        service_fn(move |mut request: Request| match admit(&mut request) {
            // A route is always ready.
            Ok(()) => Either::Left(inner.call(request)),
            Err(error) => Either::Right(ready(Ok::<_, Infallible>(error.into_response()))),
        })
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    /// # Errors
    /// 500 on a route that is declared public: nobody has looked at its caller.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Error::internal("a public route has no caller: declare it with another access"))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::header;

    use super::*;
    use crate::auth::{Parties, RemoteKeys, TokenVerifier};
    use crate::client::{CallLimits, ServiceClient, ServiceUrls};
    use crate::http::bearer::shown;
    use crate::telemetry::metrics::Metrics;
    use crate::testing::ManualClock;

    /// The verifier of a service whose issuer is down.
    fn verifier() -> TokenVerifier {
        let (nobody, metrics) =
            ("http://127.0.0.1:1".parse::<ServiceUrls>().unwrap(), Metrics::new("order-service", "1"));
        let issuer = ServiceClient::new("user-service", nobody, CallLimits::default(), &metrics).unwrap();
        let keys = RemoteKeys::new(issuer, ManualClock::new());
        let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
        TokenVerifier::of_issuer(keys, parties, ManualClock::new())
    }

    #[tokio::test]
    async fn a_token_whose_key_cannot_be_fetched_is_503_and_one_that_is_none_401() {
        // {"alg":"ES256","kid":"1"}
        let foreign = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.e30.c2lnbmF0dXJl";
        for (token, kind, text) in [
            (foreign, Kind::Unavailable, "user-service unavailable"),
            ("no token", Kind::Unauthorized, "Invalid or expired token"),
        ] {
            for (access, production) in [(Access::Bearer, false), (Access::Own("s"), false), (Access::Scope("s"), true)]
            {
                let request = Request::builder().header(header::AUTHORIZATION, format!("Bearer {token}"));
                let mut request = request.body(Body::empty()).unwrap();
                let shown = shown(request.headers(), &verifier()).await.unwrap();
                request.extensions_mut().insert(shown);
                let error =
                    Guard { access, production, encrypted_by: Callers::Nobody }.admit(&mut request).unwrap_err();
                assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
            }
        }
    }

    #[tokio::test]
    async fn a_public_route_that_asks_for_encryption_leaves_who_asks_for_others() {
        let guard = Guard { access: Access::Public, production: true, encrypted_by: Callers::Services };
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Shown::Bad);
        guard.admit(&mut request).unwrap();
        assert!(request.extensions().get::<Shown>().is_some(), "idempotency keys are those of whoever shows a token");
    }
}
