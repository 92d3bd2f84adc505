//! A small glob over symbols: `*` is any run of characters, `?` is one.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// The whole text, case counts. Linear in practice: only the last `*` is ever gone back to.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        let mut retry = None;
        loop {
            let before = pattern.clone();
            match (pattern.next(), rest.clone().next()) {
                (Some('*'), _) => retry = Some((before, rest.clone())),
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    rest.next();
                }
                (None, None) => return true,
                _ => {
                    let Some((star, mut from)) = retry.take() else { return false };
                    if from.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (star, from);
                }
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        for (pattern, yes, no) in [
            ("*.T", &["7203.T", ".T"][..], &["7203.TX", "T", "7203.t"][..]),
            ("?????.T", &["72031.T"], &["7203.T"]),
            ("*", &["", "anything"], &[]),
            ("BTC*USD*", &["BTCUSD", "BTC-USDT", "BTCxUSDUSD"], &["BTCUS", "XBTCUSD"]),
            ("EURUSD", &["EURUSD"], &["EURUSDX", "EURUS", ""]),
            ("*Ø?", &["xØy"], &["xØ"]),
            ("a*b*c", &["abc", "aXbXbc"], &["ab", "acb"]),
            ("", &[""], &["a"]),
        ] {
            yes.iter().for_each(|text| assert!(Pattern::new(pattern).matches(text), "{pattern} {text}"));
            no.iter().for_each(|text| assert!(!Pattern::new(pattern).matches(text), "{pattern} {text}"));
        }
    }

    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|at| plainly(rest, &text[at..])),
            (Some((wanted, rest)), Some((found, more))) => {
                (*wanted == '?' || wanted == found) && plainly(rest, more)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_recursion(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), plainly(&chars(&pattern), &chars(&text)));
        }
    }
}
