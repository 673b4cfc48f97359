//! What requests to AWS cost.

use std::str::FromStr;

use jiff::civil::Date;

/// Dollars for a million requests, and the day on which AWS asked for them. Written as
/// `2026-06-01 sqs=0.40 s3_put=5.00 s3_get=0.40 secretsmanager=5.00`.
///
/// Standard parameters of Parameter Store, deletes and STS cost nothing. What AWS asks for in other ways, such as storage,
/// traffic and the requests of S3 to KMS, is not here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    as_of: Date,
    sqs: f64,
    s3_put: f64,
    s3_get: f64,
    secretsmanager: f64,
}

/// The text is no table of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPrices;

const NAMES: [&str; 4] = ["sqs", "s3_put", "s3_get", "secretsmanager"];

impl FromStr for Prices {
    type Err = NoPrices;

    /// Each name once: a price that is left out would be one of another day.
    fn from_str(text: &str) -> Result<Self, NoPrices> {
        let mut words = text.split_whitespace();
        let as_of = words.next().and_then(|word| word.parse().ok()).ok_or(NoPrices)?;
        let mut prices = [None; NAMES.len()];
        for word in words {
            let (name, price) = word.split_once('=').ok_or(NoPrices)?;
            let place = NAMES.iter().position(|known| *known == name).ok_or(NoPrices)?;
            let price: f64 = price.parse().map_err(|_| NoPrices)?;
            if !(0.0..=1e6).contains(&price) || prices[place].replace(price).is_some() {
                return Err(NoPrices);
            }
        }
        match prices {
            [Some(sqs), Some(s3_put), Some(s3_get), Some(secretsmanager)] => {
                Ok(Self { as_of, sqs, s3_put, s3_get, secretsmanager })
            }
            _ => Err(NoPrices),
        }
    }
}

impl Prices {
    /// The day of these prices.
    #[must_use]
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    /// Dollars for so many billed requests.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody pays for 2^53 requests")]
    pub fn dollars(&self, api: &str, action: &str, billed: u64) -> f64 {
        let for_a_million = match (api, action) {
            ("sqs", _) => self.sqs,
            ("s3", "GetObject" | "HeadObject") => self.s3_get,
            ("s3", "DeleteObject") => 0.0,
            ("s3", _) => self.s3_put,
            ("secretsmanager", _) => self.secretsmanager,
            _ => 0.0,
        };
        for_a_million * billed as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_day_and_every_price_once() {
        let prices: Prices = "2026-06-01 s3_put=5 sqs=0.40 s3_get=0.4 secretsmanager=5.00".parse().unwrap();
        assert_eq!(prices.as_of().to_string(), "2026-06-01");
        for (api, action, dollars) in [
            ("sqs", "SendMessageBatch", 0.4),
            ("s3", "PutObject", 5.0),
            ("s3", "ListObjectsV2", 5.0),
            ("s3", "GetObject", 0.4),
            ("s3", "DeleteObject", 0.0),
            ("secretsmanager", "GetSecretValue", 5.0),
            ("ssm", "GetParameter", 0.0),
        ] {
            assert!((prices.dollars(api, action, 1_000_000) - dollars).abs() < 1e-9, "{api}:{action}");
        }
        for bad in [
            "",
            "2026-06-01",
            "sqs=1 s3_put=1 s3_get=1 secretsmanager=1",
            "2026-06-01 sqs=1 s3_put=1 s3_get=1",
            "2026-06-01 sqs=1 s3_put=1 s3_get=1 secretsmanager=1 sqs=2",
            "2026-06-01 sqs=1 s3_put=1 s3_get=1 secretsmanager=-1",
            "2026-06-01 sqs=1 s3_put=1 s3_get=NaN secretsmanager=1",
            "2026-06-01 sqs=1 s3_put=1 s3_get=1 lambda=1",
            "2026-13-01 sqs=1 s3_put=1 s3_get=1 secretsmanager=1",
        ] {
            assert!(bad.parse::<Prices>().is_err(), "{bad}");
        }
    }
}
