//! The names of the topics.

use crate::timeframe::Timeframe;

/// With a prefix, several pipelines live on one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Fails where Kafka takes no such name.
    pub fn with_prefix(prefix: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if prefix.len() > 200 || !prefix.chars().all(legal) {
            return Err(format!(
                "--topic-prefix {prefix}: at most 200 letters, digits, dots, hyphens and underscores"
            ));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    pub fn ticks(&self) -> String {
        format!("{}ticks", self.prefix)
    }

    /// Every update of a bar.
    pub fn live(&self, timeframe: Timeframe) -> String {
        format!("{}bars_live_{}", self.prefix, timeframe.name())
    }

    /// One record per closed slot.
    pub fn finals(&self, timeframe: Timeframe) -> String {
        format!("{}bars_final_{}", self.prefix, timeframe.name())
    }

    #[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "made on Kafka alone"))]
    pub fn all(&self) -> Vec<String> {
        let bars =
            Timeframe::ALL.into_iter().flat_map(|timeframe| [self.live(timeframe), self.finals(timeframe)]);
        [self.ticks()].into_iter().chain(bars).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_documented_ones_behind_their_prefix() {
        let all = Topics::default().all();
        assert_eq!(
            (all.len(), &*all[0], &*all[1], &*all[10]),
            (11, "ticks", "bars_live_m1", "bars_final_mo1")
        );
        assert_eq!(Topics::with_prefix("eu.").unwrap().finals(Timeframe::H1), "eu.bars_final_h1");
        assert!(Topics::with_prefix("a/b").unwrap_err().starts_with("--topic-prefix a/b: "));
    }
}
