//! Orders in an SQL database: one body for all of them.

mod rows;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use chassis::http::{Page, RequestKey, StoredAnswer};
use chassis::ports::Event;
use jiff::Timestamp;
use orders::model::{NewOrder, Order, OrderId, Version};
use orders::store::{Created, OrderFilter, OrderList, OrderStore, StoreError, Written};

use self::rows::{of_changed, of_gone, of_new, of_new_with, of_page, read_order, read_order_after};
use super::SqlError;
use super::answers::{AnswerStatements, answer_statements};
use super::database::{Database, Statement};
use super::outbox::{OutboxStatements, SqlOutbox, outbox_statements};
use super::store::StoreDatabase;
use super::value::Row;
use crate::migrations::{Migration, Migrations};

/// The tables of orders.
pub static ORDERS: Migrations = Migrations {
    service: "orders",
    kind: "store of orders",
    schema: "keelson_orders",
    history: "orders_migrations",
    lock: -12,
    sqlite: &[Migration {
        version: 1,
        name: "create_orders",
        sql: include_str!("../../../migrations/orders/sqlite/0001_create_orders.sql"),
    }],
    postgres: &[Migration {
        version: 1,
        name: "create_orders",
        sql: include_str!("../../../migrations/orders/postgres/0001_create_orders.sql"),
    }],
};

static OUTBOX: OutboxStatements = outbox_statements!("orders_outbox");
static ANSWERS: AnswerStatements = answer_statements!("orders_idempotency_keys");

/// How often a create is tried again when whoever was in its way is gone.
const TRIES: usize = 3;

/// All orders of a database.
#[derive(Debug)]
pub(crate) struct SqlOrders {
    database: StoreDatabase,
}

impl SqlOrders {
    /// The statements that PostgreSQL executes for many at once.
    pub(crate) fn shared() -> [&'static Statement; 4] {
        [&statements::FIND, &statements::CREATE, &statements::CREATE_WITH, &OUTBOX.remove]
    }

    /// On tables that are up to date.
    pub(crate) fn new(database: Arc<dyn Database>) -> Arc<Self> {
        Arc::new(Self { database: StoreDatabase::new(database) })
    }

    /// The events that are written with the orders.
    pub(crate) fn outbox(&self) -> Arc<SqlOutbox> {
        SqlOutbox::new(self.database.database(), &OUTBOX)
    }

    async fn create_now(&self, new: NewOrder) -> Result<Created, StoreError> {
        let (statement, values) = match (&new.answer, &new.event) {
            (None, None) => (&statements::CREATE, of_new(&new.order)?),
            _ => (&statements::CREATE_WITH, of_new_with(&new)?),
        };
        for _ in 0..TRIES {
            match self.database.execute(statement, values.clone()).await {
                Ok(rows) if !rows.is_empty() => return Ok(Created::Done),
                // Of two with one key that come at once, one breaks the primary key of the answers.
                Ok(_) | Err(SqlError::Taken) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = &new.answer
                && let Some(before) = self.database.find_answer(&ANSWERS, &answer.key.id).await?
            {
                return Ok(Created::Before(before));
            }
        }
        Err(StoreError::Other("the order was not added, and no other request has its key".into()))
    }

    async fn list_now(&self, filter: &OrderFilter, page: Page) -> Result<OrderList, StoreError> {
        let statement = match (&filter.user_id, filter.status) {
            (None, None) => &statements::LIST,
            (Some(_), None) => &statements::LIST_OF_USER,
            (None, Some(_)) => &statements::LIST_BY_STATUS,
            (Some(_), Some(_)) => &statements::LIST_OF_USER_BY_STATUS,
        };
        let mut list = OrderList::default();
        for row in self.database.execute(statement, of_page(filter, page)).await? {
            let mut columns = row.read();
            list.total = columns.int()?.unsigned_abs();
            if let Some(id) = columns.optional_uuid()? {
                let order = read_order_after(OrderId(id), &mut columns)?;
                list.orders.push(order.ok_or(StoreError::PageTooLarge)?);
            }
        }
        Ok(list)
    }

    /// What a write did that answers the rows that it changed.
    async fn written(&self, id: OrderId, rows: Vec<Row>) -> Result<Written, StoreError> {
        if !rows.is_empty() {
            return Ok(Written::Done);
        }
        let is_there = self.database.find(&statements::EXISTS, id.0.into()).await?.is_some();
        Ok(if is_there { Written::Changed } else { Written::Missing })
    }
}

#[async_trait]
impl OrderStore for SqlOrders {
    async fn create(&self, order: NewOrder) -> Result<Created, StoreError> {
        self.database.call(self.create_now(order)).await
    }

    async fn find_answer(&self, request: &RequestKey) -> Result<Option<StoredAnswer>, StoreError> {
        self.database.call(async { Ok(self.database.find_answer(&ANSWERS, &request.id).await?) }).await
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.database.call(async { Ok(self.database.forget_answers(&ANSWERS, now).await?) }).await
    }

    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let found = self.database.call(self.database.find(&statements::FIND, id.0.into())).await?;
        Ok(found.map(read_order).transpose()?)
    }

    async fn list(&self, filter: &OrderFilter, page: Page) -> Result<OrderList, StoreError> {
        self.database.call(self.list_now(filter, page)).await
    }

    async fn change(&self, order: &Order, known: Version, event: Option<Event>) -> Result<Written, StoreError> {
        let values = of_changed(order, known, event.as_ref());
        let change = async {
            let rows = self.database.execute(&statements::CHANGE, values).await?;
            self.written(order.id, rows).await
        };
        self.database.call(change).await
    }

    async fn delete(&self, id: OrderId, known: Version, event: Option<Event>) -> Result<Written, StoreError> {
        let values = of_gone(id, known, event.as_ref());
        let deletion = async {
            let rows = self.database.execute(&statements::DELETE, values).await?;
            self.written(id, rows).await
        };
        self.database.call(deletion).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.database.call(async { Ok(self.database.ping().await?) }).await
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(cause) | SqlError::Undone(cause) => Self::Unavailable(cause),
            SqlError::Timeout => Self::Timeout,
            SqlError::Taken | SqlError::Other(_) => Self::Other(error.to_string()),
        }
    }
}
