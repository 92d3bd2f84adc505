//! Sessions, holidays and zones of every symbol: which calendar it has, and its slots in each timeframe.

use crate::pattern::Pattern;
use crate::symbol::Symbol;
use crate::timeframe::{PerTimeframe, Timeframe};
use highwater::BoxError;
use highwater::time::{Anchor, Calendar, Slots};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Cheap to clone.
#[derive(Clone)]
pub struct Market(Arc<Inner>);

struct Inner {
    rules: Vec<(Pattern, Calendar)>,
    otherwise: Option<Calendar>,
    intraday: Anchor,
    graces: PerTimeframe<Duration>,
    /// The rule of each symbol seen, for every tick asks. Not used where there are no rules.
    known: RwLock<HashMap<Symbol, usize>>,
}

impl Market {
    /// The first rule whose pattern matches counts; `otherwise` is for symbols that match none.
    pub fn new(
        rules: Vec<(Pattern, Calendar)>,
        otherwise: Option<Calendar>,
        intraday: Anchor,
        graces: PerTimeframe<Duration>,
    ) -> Self {
        Self(Arc::new(Inner { rules, otherwise, intraday, graces, known: RwLock::default() }))
    }

    /// An error names a symbol that has none.
    pub fn calendar(&self, symbol: &Symbol) -> Result<Calendar, BoxError> {
        let rule = if self.0.rules.is_empty() { None } else { self.0.rule(symbol) };
        let calendar = match rule {
            Some(rule) => Some(&self.0.rules[rule].1),
            None => self.0.otherwise.as_ref(),
        };
        calendar.cloned().ok_or_else(|| self.0.unknown(symbol).into())
    }

    /// An error names a symbol that has no calendar.
    pub fn knows(&self, symbol: &Symbol) -> Result<(), BoxError> {
        if self.0.otherwise.is_some() || self.0.rule(symbol).is_some() {
            Ok(())
        } else {
            Err(self.0.unknown(symbol).into())
        }
    }

    pub fn grace(&self, timeframe: Timeframe) -> Duration {
        self.0.graces[timeframe]
    }

    pub fn slots(&self, timeframe: Timeframe) -> Slots<Symbol> {
        let market = self.clone();
        let calendar = move |symbol: &Symbol| market.calendar(symbol);
        let slots = match timeframe {
            Timeframe::M1 => Slots::minutes(1, calendar),
            Timeframe::H1 => Slots::hours(1, calendar),
            Timeframe::D1 => Slots::days(calendar),
            Timeframe::W1 => Slots::weeks(calendar),
            Timeframe::Mo1 => Slots::months(calendar),
        };
        slots.anchored(self.0.intraday).grace(self.grace(timeframe))
    }
}

impl Inner {
    fn rule(&self, symbol: &Symbol) -> Option<usize> {
        // Poison is harmless here: an entry is whole or absent.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(symbol).copied();
        if known.is_some() {
            return known;
        }
        let rule = self.rules.iter().position(|(pattern, _)| pattern.matches(symbol.as_str()))?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(symbol.clone(), rule);
        Some(rule)
    }

    fn unknown(&self, symbol: &Symbol) -> String {
        let patterns: Vec<_> = self.rules.iter().map(|(pattern, _)| format!("`{pattern}`")).collect();
        format!(
            "symbol {symbol:?} has no calendar: it matches none of {}; add `--calendar {symbol}=...`, or one without a pattern",
            patterns.join(", "),
            symbol = symbol.as_str(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(rules: &[(&str, &str)], otherwise: Option<&str>) -> Market {
        let rules = rules
            .iter()
            .map(|(pattern, name)| (Pattern::new(pattern), Calendar::parse(name).unwrap()))
            .collect();
        let otherwise = otherwise.map(|name| Calendar::parse(name).unwrap());
        Market::new(rules, otherwise, Anchor::Clock, PerTimeframe::of(Timeframe::default_grace))
    }

    fn symbol(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let market = market(&[("*.T", "xtks"), ("7203.*", "xlon"), ("*.HK", "xhkg")], Some("24x7"));
        for (text, rule) in [("7203.T", Some(0)), ("7203.L", Some(1)), ("0700.HK", Some(2)), ("BTCUSD", None)]
        {
            assert_eq!(market.0.rule(&symbol(text)), rule, "{text}");
            assert_eq!(market.0.rule(&symbol(text)), rule, "{text} again");
            assert!(market.calendar(&symbol(text)).is_ok());
        }
    }

    #[test]
    fn a_symbol_without_a_calendar_is_named() {
        let error = market(&[("*.T", "xtks"), ("*.L", "xlon")], None)
            .calendar(&symbol("BTCUSD"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"BTCUSD\"") && error.contains("`*.T`, `*.L`"), "{error}");
    }
}
