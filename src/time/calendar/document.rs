//! A calendar file as JSON, before its meaning: every field in its order, so that one written twice is seen.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value whose objects keep every field, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// A whole number, or one that is not.
    Number(Option<i64>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
    /// `true`, `false` or `null`: nothing in a calendar is one.
    Other(&'static str),
}

impl Node {
    /// What it is, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(Some(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(i64::try_from(number).ok()))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number(None))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Other(if value { "true" } else { "false" }))
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other("null"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(number(&fields).unwrap_or(Node::Object(fields)))
    }
}

/// With its feature `arbitrary_precision`, which any crate of the program may turn on, `serde_json` gives a number as an
/// object of one text.
fn number(fields: &[(String, Node)]) -> Option<Node> {
    match fields {
        [(field, Node::Text(digits))] if field == "$serde_json::private::Number" => {
            Some(Node::Number(digits.parse().ok()))
        }
        _ => None,
    }
}
