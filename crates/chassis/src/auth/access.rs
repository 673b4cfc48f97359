//! Who may call a route, and who calls it.

use std::sync::Arc;

use super::Claims;

/// Who may call a route in production. In development everybody may, and only a token that is bad is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with or without a token.
    Public,
    /// Whoever shows a good token, in development too: the route is about its bearer.
    Bearer,
    /// Whose token has this scope.
    Scope(&'static str),
    /// Whoever shows a good token. Without this scope it reaches what is its bearer's own: the handler asks
    /// [`Caller::reaches`].
    Own(&'static str),
}

/// Who calls: the bearer of a verified token, or anybody, where development lets everybody in.
#[derive(Debug, Clone)]
pub struct Caller {
    claims: Option<Arc<Claims>>,
    /// Scopes are not asked for.
    is_open: bool,
}

impl Caller {
    pub(crate) fn new(claims: Option<Arc<Claims>>, is_open: bool) -> Self {
        Self { claims, is_open }
    }

    /// Whose token it is; `None` for one who showed none.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.as_ref().map(|claims| claims.sub.as_str())
    }

    /// Whether the caller may do what needs this scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.is_open || self.claims.as_ref().is_some_and(|claims| claims.has_scope(scope))
    }

    /// Whether the caller may do what needs this scope with something of this owner. What it does not reach is to look
    /// as if it were not there.
    #[must_use]
    pub fn reaches(&self, scope: &str, owner: &str) -> bool {
        self.subject() == Some(owner) || self.has(scope)
    }
}
