//! The states of an order, and which follow which.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// It was made.
    Pending,
    /// It was accepted.
    Confirmed,
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was called off.
    Cancelled,
}

/// One state does not follow the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("The status cannot change from {from} to {to}")]
pub struct IllegalTransition {
    /// As it is.
    pub from: OrderStatus,
    /// As it was to become.
    pub to: OrderStatus,
}

/// A text that is no status. Its own text is that of seed 004.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Invalid status. Must be one of: pending, confirmed, shipped, delivered, cancelled")]
pub struct UnknownStatus;

impl OrderStatus {
    /// All, in the order of an order's life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Confirmed, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// As callers write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Those that may follow. An order without any has come to its end.
    #[must_use]
    pub fn followers(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Confirmed, Self::Cancelled],
            Self::Confirmed => &[Self::Shipped, Self::Cancelled],
            Self::Shipped => &[Self::Delivered],
            Self::Delivered | Self::Cancelled => &[],
        }
    }

    /// This status after a wish for that one; the same is no change.
    ///
    /// # Errors
    /// When that one does not follow.
    pub fn change_to(self, to: Self) -> Result<Self, IllegalTransition> {
        if to == self || self.followers().contains(&to) { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }

    /// Whether the address may still change.
    #[must_use]
    pub fn is_before_shipping(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_twenty_five_pairs_is_as_the_contract_has_it() {
        use OrderStatus::{Cancelled, Confirmed, Delivered, Pending, Shipped};
        let legal = [
            (Pending, Confirmed),
            (Confirmed, Shipped),
            (Shipped, Delivered),
            (Pending, Cancelled),
            (Confirmed, Cancelled),
        ];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let expected = from == to || legal.contains(&(from, to));
                let changed = from.change_to(to);
                assert_eq!(changed, if expected { Ok(to) } else { Err(IllegalTransition { from, to }) });
                if let Err(illegal) = changed {
                    assert_eq!(illegal.to_string(), format!("The status cannot change from {from} to {to}"));
                }
            }
        }
    }

    #[test]
    fn a_status_is_written_in_one_way() {
        for status in OrderStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
            assert!(UnknownStatus.to_string().contains(status.as_str()));
        }
        for other in ["", "Pending", "PENDING", " pending", "lost"] {
            assert_eq!(other.parse::<OrderStatus>(), Err(UnknownStatus), "{other}");
        }
    }
}
