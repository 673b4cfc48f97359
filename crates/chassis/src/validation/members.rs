//! Members of a body, for `#[serde(deserialize_with = "…")]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// A member that may be left out, and must not be `null`.
///
/// # Errors
/// What the type says of `null` and of values that it is not.
pub fn required<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A whole number that may be left out, where `null` means something.
///
/// # Errors
/// Those of [`whole`].
pub fn clearable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    optional_whole(deserializer).map(Some)
}

/// A whole number, or `null` for none.
///
/// # Errors
/// Those of [`whole`].
pub fn optional_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Number>::deserialize(deserializer)?.map(|number| of_number(&number)).transpose()
}

/// A whole number, which JSON Schema and FastAPI's clients may also write as `30.0`. What no integer holds becomes the
/// nearest that there is, and is refused with the rule that it breaks.
///
/// # Errors
/// `expected a whole number`, or what [`Number`] says of what is none.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    of_number(&Number::deserialize(deserializer)?)
}

fn of_number<E: serde::de::Error>(number: &Number) -> Result<i64, E> {
    let of_float = || number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i64);
    number.as_i64().or_else(of_float).ok_or_else(|| E::custom("expected a whole number"))
}

/// A list of objects. What serde derives for a struct would take an array too, as the values of the members in their order.
///
/// # Errors
/// What the type says, and `expected an object` where an item is none.
pub fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "required")]
        name: Option<String>,
        #[serde(default, deserialize_with = "clearable")]
        age: Option<Option<i64>>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Line {
        #[serde(deserialize_with = "whole")]
        number: i64,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Lines {
        #[serde(deserialize_with = "objects")]
        lines: Vec<Line>,
    }

    fn refusal<T: DeserializeOwned + fmt::Debug>(json: &str) -> String {
        serde_json::from_str::<T>(json).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_is_none_and_null_only_where_it_means_something() {
        let body = |json| serde_json::from_str::<Body>(json).unwrap();
        assert_eq!(body("{}"), Body { name: None, age: None });
        assert_eq!(body(r#"{"name":"Ann","age":null}"#), Body { name: Some("Ann".into()), age: Some(None) });
        assert_eq!(body(r#"{"age":30}"#).age, Some(Some(30)));
        assert!(refusal::<Body>(r#"{"name":null}"#).contains("expected a string"));
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (written, number) in [("30", 30), ("30.0", 30), ("3e1", 30), ("-1.0", -1), ("1e300", i64::MAX)] {
            let line = format!("{{\"number\":{written}}}");
            assert_eq!(serde_json::from_str::<Line>(&line).unwrap(), Line { number }, "{written}");
        }
        for wrong in ["30.5", "\"30\"", "true", "[]", "null"] {
            let error = refusal::<Line>(&format!("{{\"number\":{wrong}}}"));
            assert!(error.contains("expected a"), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        let lines = serde_json::from_str::<Lines>(r#"{"lines":[{"number":1},{"number":2.0}]}"#).unwrap();
        assert_eq!(lines, Lines { lines: vec![Line { number: 1 }, Line { number: 2 }] });
        for wrong in ["[[1]]", "[1]", "[{\"number\":1},[2]]", "[null]"] {
            let error = refusal::<Lines>(&format!("{{\"lines\":{wrong}}}"));
            assert!(error.contains("expected an object"), "{wrong}: {error}");
        }
        assert!(refusal::<Lines>(r#"{"lines":{}}"#).contains("expected a sequence"));
    }
}
