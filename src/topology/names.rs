//! What a name may look like, and which topics a pattern means.

use crate::error::{Error, Result};
use regex_lite::Regex;

/// The longest topic name that a broker takes.
const LONGEST_TOPIC: usize = 249;
/// `<application.id>-` needs two characters at least.
const SHORTEST_PREFIX: usize = 2;

/// What a name becomes on the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Node,
    Topic,
    Store,
    Repartition,
}

impl Named {
    fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Topic => "topic",
            Self::Store => "store",
            Self::Repartition => "repartition",
        }
    }
    /// What is left of 249 characters. The application id is not known here; a start checks the whole name again.
    fn longest(self) -> usize {
        match self {
            Self::Node | Self::Topic => LONGEST_TOPIC,
            Self::Store => LONGEST_TOPIC - SHORTEST_PREFIX - "-changelog".len(),
            Self::Repartition => LONGEST_TOPIC - SHORTEST_PREFIX - "-repartition".len(),
        }
    }
}

/// Kafka's rule for topics, which Kafka Streams applies to the names of nodes and stores too.
pub(super) fn check_name(named: Named, name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if matches!(name, "." | "..") {
        "`.` and `..` are reserved".to_owned()
    } else if let Some(wrong) = name.chars().find(|c| !legal(*c)) {
        format!("it contains {wrong:?}; only ASCII letters and digits, `.`, `_` and `-` may occur")
    } else if name.len() > named.longest() {
        format!("it has {} characters, at most {} fit into a topic's name", name.len(), named.longest())
    } else {
        return Ok(());
    };
    Err(Error::topology(format!("{} name `{}` is not possible: {reason}", named.word(), name.escape_debug())))
}

/// The topics whose whole name matches a regular expression.
#[derive(Clone, Debug)]
pub(crate) struct TopicPattern(Regex);

impl TopicPattern {
    /// Fails where the expression cannot be read.
    pub(crate) fn new(pattern: &str) -> Result<Self> {
        let whole = Regex::new(&format!("^(?:{pattern})$"));
        whole.map(Self).map_err(|error| {
            Error::topology(format!("topic pattern `{pattern}` is not a regular expression")).cause(error)
        })
    }
    /// Whether the whole name matches.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_topics() {
        for good in ["a", "Clicks_2.per-minute", "...", &"n".repeat(249)] {
            assert!(check_name(Named::Topic, good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", "it is empty"),
            (".", "reserved"),
            ("..", "reserved"),
            ("a b", "' '"),
            ("größe", "'ö'"),
            ("a/b", "'/'"),
            (&"n".repeat(250), "it has 250 characters, at most 249"),
        ] {
            let error = check_name(Named::Topic, bad).expect_err(bad).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn internal_topics_need_room() {
        assert!(check_name(Named::Store, &"n".repeat(237)).is_ok());
        assert!(check_name(Named::Store, &"n".repeat(238)).is_err());
        assert!(check_name(Named::Repartition, &"n".repeat(235)).is_ok());
        assert!(check_name(Named::Repartition, &"n".repeat(236)).is_err());
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        let pattern = TopicPattern::new("ticks-.*|quotes").expect("a pattern");
        assert!(pattern.matches("ticks-eu") && pattern.matches("quotes"));
        assert!(!pattern.matches("my-quotes") && !pattern.matches("quotes-old"));
        assert!(TopicPattern::new("ticks-(").expect_err("open").to_string().contains("`ticks-(`"));
    }
}
