//! Totals of orders as callers get them, beside a reference that counts in whole ten-thousandths.

use orders::model::{Order, OrderDraft, OrderId};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A price in ten-thousandths, and one of the ways to write it.
fn prices() -> impl Strategy<Value = (i128, String)> {
    let units = prop_oneof![
        0_i128..=100_000,
        0_i128..=10_000_000_000_000,
        (0_i128..=1_000_000_000).prop_map(|whole| whole * 10_000),
        Just(10_000_000_000_000),
    ];
    let ways = prop_oneof![Just(0), Just(1), Just(2)];
    (units, ways).prop_map(|(units, way)| {
        let plain = format!("{}.{:04}", units / 10_000, units % 10_000);
        let written = match way {
            0 => plain,
            1 => plain.trim_end_matches('0').trim_end_matches('.').to_owned(),
            _ => format!("{units}e-4"),
        };
        (units, written)
    })
}

fn draft(items: &[(i64, (i128, String))]) -> Order {
    let items: Vec<_> = items
        .iter()
        .map(|(quantity, (_, price))| {
            format!("{{\"product_id\":\"p\",\"product_name\":\"P\",\"quantity\":{quantity},\"price\":{price}}}")
        })
        .collect();
    let body = format!("{{\"user_id\":\"ann\",\"items\":[{}],\"shipping_address\":\"1 Main St\"}}", items.join(","));
    let draft: OrderDraft = serde_json::from_str(&body).unwrap();
    draft.into_order(OrderId(uuid::Uuid::nil()), jiff::Timestamp::UNIX_EPOCH).unwrap()
}

/// As a total is written: no zeros at the end.
fn written(units: i128) -> String {
    let text = format!("{}.{:04}", units / 10_000, units % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn ten_thousand_totals_agree_with_the_reference() {
    let mut runner = TestRunner::new(Config { cases: 10_000, failure_persistence: None, ..Config::default() });
    let orders = prop::collection::vec((1_i64..=1_000_000, prices()), 1..20);
    let outcome = runner.run(&orders, |items| {
        let reference = items.iter().map(|(quantity, (units, _))| i128::from(*quantity) * units).sum();
        prop_assert_eq!(serde_json::to_string(&draft(&items).total()).unwrap(), written(reference));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_largest_total_is_exact() {
    let most = (1_000_000, (0, "1000000000".to_owned()));
    let fine = (1_000_000, (0, "999999999.9999".to_owned()));
    assert_eq!(draft(&vec![most; 1000]).total().to_string(), "1000000000000000000");
    assert_eq!(draft(&vec![fine; 1000]).total().to_string(), "999999999999900000");
}
