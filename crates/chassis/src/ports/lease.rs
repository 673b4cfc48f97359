//! What a receipt says, for the queues that keep their own leases (memory, SQLite, PostgreSQL).

use std::fmt;
use std::str::FromStr;

use crate::ports::queue::{QueueError, Receipt};

/// One delivery of one message: the message's place in its queue, and a number drawn anew for each delivery, so that
/// a receipt of an earlier delivery is told from the present one and cannot be guessed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The message's place in its queue, the same on every delivery.
    pub seq: i64,
    /// Drawn for this delivery.
    pub nonce: u64,
}

impl Lease {
    /// The receipt that the receiver gets.
    #[must_use]
    pub fn receipt(self) -> Receipt {
        Receipt(self.to_string())
    }

    /// Reads a receipt that one of our queues gave.
    ///
    /// # Errors
    /// [`QueueError::Invalid`] for any other text.
    pub fn from_receipt(receipt: &Receipt) -> Result<Self, QueueError> {
        receipt.0.parse()
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.seq, self.nonce)
    }
}

impl FromStr for Lease {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let invalid = || QueueError::Invalid("the receipt is none of this queue".into());
        let (seq, nonce) = text.split_once('-').ok_or_else(invalid)?;
        let seq = seq.parse().map_err(|_| invalid())?;
        let nonce = u64::from_str_radix(nonce, 16).map_err(|_| invalid())?;
        Ok(Self { seq, nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_reads_back_as_its_lease() {
        let lease = Lease { seq: 42, nonce: u64::MAX - 1 };
        assert_eq!(Lease::from_receipt(&lease.receipt()).unwrap(), lease);
    }

    #[test]
    fn a_foreign_receipt_is_invalid() {
        for text in ["", "42", "x-1", "1-y", "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a"] {
            let outcome = Lease::from_receipt(&Receipt(text.to_owned()));
            assert!(matches!(outcome, Err(QueueError::Invalid(_))), "{text:?}");
        }
    }
}
