//! Properties from the environment: `HIGHWATER_` and the name in capitals, with `_` for `.`.

use super::client_properties::{JAVA, KNOWN, RESERVED};
use super::clients::PREFIXES;
use super::properties::{ELSEWHERE, PROPERTIES};

/// Starts the names of variables.
const START: &str = "HIGHWATER_";

/// Variables of tests and examples, which are no properties.
const NOT_OURS: &[&str] = &["SEED", "SEEDS", "TICK_DATA"];
const NOT_OURS_STARTS: &[&str] = &["CHILD", "CRASH_", "TEST_"];

/// The property that a variable names, known or not; `None`: it is none.
pub(crate) fn property_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(START)?;
    let starts = NOT_OURS_STARTS.iter().any(|start| rest.starts_with(start));
    if starts || NOT_OURS.contains(&rest) || rest.is_empty() {
        return None;
    }
    let prefixed =
        PREFIXES.iter().find_map(|(prefix, _)| Some((*prefix, rest.strip_prefix(&*capitals(prefix))?)));
    Some(match prefixed {
        Some((prefix, rest)) => format!("{prefix}{}", plain(rest)),
        None => plain(rest),
    })
}

/// Several names could have the same capitals: `log_level` has an underscore of its own.
fn plain(capital: &str) -> String {
    let ours = PROPERTIES.iter().map(|property| property.name);
    let clients = KNOWN.iter().map(|(name, _)| *name).chain(RESERVED.iter().map(|(name, _)| *name));
    let others = JAVA.iter().map(|(name, _)| *name).chain(ELSEWHERE.iter().map(|(name, _)| *name));
    let names = |name: &&str| {
        let short = name.strip_prefix("highwater.").unwrap_or(name);
        capitals(name) == capital || capitals(short) == capital
    };
    let known = ours.chain(clients).chain(others).find(names);
    known.map_or_else(|| capital.to_ascii_lowercase().replace('_', "."), str::to_owned)
}

fn capitals(name: &str) -> String {
    name.to_ascii_uppercase().replace(['.', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn capitals_name_properties() {
        for (variable, property) in [
            ("HIGHWATER_COMMIT_INTERVAL_MS", Some("commit.interval.ms")),
            ("HIGHWATER_IDLE_TIMEOUT_MS", Some("highwater.idle.timeout.ms")),
            ("HIGHWATER_HIGHWATER_IDLE_TIMEOUT_MS", Some("highwater.idle.timeout.ms")),
            ("HIGHWATER_LOG_LEVEL", Some("log_level")),
            ("HIGHWATER_CONSUMER_FETCH_MIN_BYTES", Some("consumer.fetch.min.bytes")),
            ("HIGHWATER_MAIN_CONSUMER_FETCH_MIN_BYTES", Some("main.consumer.fetch.min.bytes")),
            ("HIGHWATER_TOPIC_SEGMENT_BYTES", Some("topic.segment.bytes")),
            ("HIGHWATER_SASL_JAAS_CONFIG", Some("sasl.jaas.config")),
            ("HIGHWATER_IDEL_TIMEOUT_MS", Some("idel.timeout.ms")),
            ("HIGHWATER_TEST_BOOTSTRAP", None),
            ("HIGHWATER_SEEDS", None),
            ("HIGHWATER_CRASH_POINT", None),
            ("HIGHWATER_TICK_DATA", None),
            ("HOME", None),
        ] {
            assert_eq!(property_of(variable).as_deref(), property, "{variable}");
        }
    }

    #[test]
    fn no_two_properties_share_their_capitals() {
        let short = |name: &str| capitals(name.strip_prefix("highwater.").unwrap_or(name));
        let ours = PROPERTIES.iter().map(|property| short(property.name));
        let foreign =
            KNOWN.iter().map(|(name, _)| *name).filter(|name| super::super::properties::find(name).is_none());
        let all: Vec<String> = ours.chain(foreign.map(capitals)).collect();
        let distinct: BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
