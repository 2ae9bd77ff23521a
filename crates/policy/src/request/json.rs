//! JSON that has one reading: a key that stands twice in an object, text that is no UTF-8 and everything else that servers
//! take differently is no JSON here.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Unread;

/// Most values of a document: some five times as much memory as its text, at the bound of bodies that are at hand.
const VALUES_MAX: usize = 100_000;
/// Whole numbers beyond this are rounded by readers that keep them as floating point.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// Null, a truth value or a number, as it is written in its shortest form; `None` where readers round differently.
    Plain(Option<String>),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads a document.
pub(crate) fn read(bytes: &[u8]) -> Result<Json, Unread> {
    let mut left = VALUES_MAX;
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let read = Reading { left: &mut left }.deserialize(&mut from).and_then(|json| from.end().map(|()| json));
    match read {
        Ok(json) => Ok(json),
        Err(_) if left == 0 => Err(Unread("it has too many values")),
        Err(error) if error.is_data() => Err(Unread("a key stands twice in it")),
        Err(_) => Err(Unread("it is no plain JSON")),
    }
}

impl Json {
    /// Tells every value this path of keys leads to; lists stand for each of their values. `exact` is whether every key
    /// on the way was written just so, and alone: some readers take keys for the same that differ in case.
    pub(crate) fn follow<'j>(&'j self, path: &[String], exact: bool, tell: &mut dyn FnMut(Option<&'j Json>, bool)) {
        match (self, path) {
            (Self::List(values), _) => {
                if values.is_empty() {
                    tell(None, exact);
                }
                for value in values {
                    value.follow(path, exact, tell);
                }
            }
            (value, []) => tell(Some(value), exact),
            (Self::Object(entries), [key, rest @ ..]) => {
                let wanted = folded(key);
                let alike: Vec<_> = entries.iter().filter(|(own, _)| own == key || folded(own) == wanted).collect();
                if alike.is_empty() {
                    tell(None, exact);
                }
                for (own, value) in &alike {
                    value.follow(rest, exact && alike.len() == 1 && own == key, tell);
                }
            }
            _ => tell(None, exact),
        }
    }
}

/// Readers that ignore case fold by Unicode, where `ſ` is an `s`.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

struct Reading<'l> {
    left: &'l mut usize,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl Reading<'_> {
    fn one<E: de::Error>(&mut self) -> Result<(), E> {
        *self.left = self.left.saturating_sub(1);
        if *self.left == 0 { Err(E::custom("too many values")) } else { Ok(()) }
    }

    fn plain<E: de::Error>(mut self, text: Option<String>) -> Result<Json, E> {
        self.one()?;
        Ok(Json::Plain(text))
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        self.plain(Some("null".to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        self.plain(Some(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        self.plain(Some(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        self.plain(Some(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        self.plain((value.abs() < EXACT_MAX).then(|| value.to_string()))
    }

    fn visit_str<E: de::Error>(mut self, value: &str) -> Result<Json, E> {
        self.one()?;
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Json, A::Error> {
        self.one()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Reading { left: self.left })? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json, A::Error> {
        self.one()?;
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(de::Error::custom("a key stands twice"));
            }
            let value = map.next_value_seed(Reading { left: self.left })?;
            entries.push((key, value));
        }
        Ok(Json::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_more_than_one_reading_is_none() {
        for bad in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": [{"a": 1, "\u0061": 2}]}"#,
            r#"{"a": 1} {"#,
            "{'a': 1}",
            "{\"a\": 1,}",
            "\u{feff}{}",
            r#""\ud800""#,
            "[NaN]",
            "// c\n{}",
            "",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(read(br#"{"a":1,"a":2}"#), Err(Unread("a key stands twice in it")));
        assert!(read(b"\"\xff\"").is_err());
        assert!(read(format!("{}1{}", "[".repeat(200), "]".repeat(200)).as_bytes()).is_err());
        assert_eq!(read(format!("[{}1]", "1,".repeat(VALUES_MAX)).as_bytes()), Err(Unread("it has too many values")));
    }

    #[test]
    fn paths_lead_to_every_value_they_could_mean() {
        let found = |text: &str, path: &str| {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let mut all = Vec::new();
            read(text.as_bytes()).unwrap().follow(&path, true, &mut |value, exact| all.push((value.is_some(), exact)));
            all
        };
        assert_eq!(found(r#"{"a": {"b": 1}}"#, "a.b"), [(true, true)]);
        assert_eq!(found(r#"{"a": {"B": 1}}"#, "a.b"), [(true, false)]);
        assert_eq!(found(r#"{"a": {"b": 1, "B": 2}}"#, "a.b"), [(true, false), (true, false)]);
        assert_eq!(found(r#"[{"a": 1}, {"c": 1}]"#, "a"), [(true, true), (false, true)]);
        assert_eq!(found(r#"{"ſ": 1}"#, "s"), [(true, false)]);
        assert_eq!(found("[]", "a"), [(false, true)]);
        assert_eq!(found("1", "a"), [(false, true)]);
    }
}
