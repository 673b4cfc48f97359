//! One statement for many callers.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Session, binding};
use crate::gather::Work;
use crate::postgres::connections::Connections;
use crate::sql::SqlError;
use crate::sql::database::Statement;
use crate::sql::value::{Row, Value};

/// What callers that ask the same share.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) statement: &'static Statement,
    pub(super) connections: Arc<Connections<Session>>,
}

type Answer = Result<Vec<Row>, SqlError>;

#[async_trait]
impl Work for Together {
    type Entry = Vec<Value>;
    type Answer = Answer;
    type Error = SqlError;

    /// All at once. Where that fails by a value, half of them and the other half, so that the one at fault fails alone:
    /// the statement that failed did nothing.
    async fn work(&self, calls: Vec<Vec<Value>>, deadline: Instant) -> Result<Vec<Answer>, SqlError> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut parts: Vec<&[Vec<Value>]> = vec![&calls];
        while let Some(part) = parts.pop() {
            match self.execute(part, deadline).await {
                Ok(rows) => answers.extend(rows.into_iter().map(Ok)),
                Err(error) if error.is_of_the_values() && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) if error.is_of_the_values() => answers.push(Err(error)),
                // What was done before stays done, and is said to be.
                Err(error) => {
                    answers.resize_with(calls.len(), || Err(error.clone()));
                    break;
                }
            }
        }
        Ok(answers)
    }
}

impl Together {
    /// The rows of each call.
    async fn execute(&self, calls: &[Vec<Value>], deadline: Instant) -> Result<Vec<Vec<Row>>, SqlError> {
        let mut lent = self.connections.lend_until(deadline).await?;
        let rows = lent.rows(binding::many(self.statement.postgres, calls)).await?;
        drop(lent);
        let mut found: HashMap<Value, Vec<Row>> = HashMap::new();
        for row in &rows {
            let row = binding::read(row)?;
            if let Some(key) = row.key().cloned() {
                found.entry(key).or_default().push(row);
            }
        }
        Ok(calls.iter().map(|call| self.hand_out(&mut found, call)).collect())
    }

    /// What was read is for all who asked for it; what was written, only one has done.
    fn hand_out(&self, found: &mut HashMap<Value, Vec<Row>>, call: &[Value]) -> Vec<Row> {
        let Some(key) = call.first() else { return Vec::new() };
        let rows = if self.statement.writes { found.remove(key) } else { found.get(key).cloned() };
        rows.unwrap_or_default()
    }
}
