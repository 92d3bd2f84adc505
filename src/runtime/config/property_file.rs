//! Files of properties in Java's form: `name=value`, `name: value` or `name value`; `#` or `!` begins a comment, a
//! backslash at the end of a line continues it, and escapes are Java's.

use std::iter::Peekable;
use std::str::Chars;

/// A property, or why there is none, with the line it begins on (from 1).
pub(crate) type Line = (usize, Result<(String, String), String>);

/// The properties of a text, in order.
pub(crate) fn parse(text: &str) -> Vec<Line> {
    logical_lines(text).into_iter().map(|(number, line)| (number, property(&line))).collect()
}

/// Continued lines joined, without comments and empty ones.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start_matches([' ', '\t', '\x0c']);
        if !continues && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let slashes = line.len() - line.trim_end_matches('\\').len();
        let more = slashes % 2 == 1;
        let part = if more { line.get(..line.len() - 1).unwrap_or_default() } else { line };
        match out.last_mut().filter(|_| continues) {
            Some((_, last)) => last.push_str(part),
            None => out.push((number, part.to_owned())),
        }
        continues = more;
    }
    out
}

fn property(line: &str) -> Result<(String, String), String> {
    let mut rest = line.chars().peekable();
    let name = read(&mut rest, |c| matches!(c, '=' | ':' | ' ' | '\t' | '\x0c'))?;
    let blank = |c: &char| matches!(c, ' ' | '\t' | '\x0c');
    while rest.next_if(blank).is_some() {}
    let separated = rest.next_if(|c| matches!(c, '=' | ':')).is_some();
    while rest.next_if(blank).is_some() {}
    if !separated && rest.peek().is_none() {
        return Err("is not `name=value`".to_owned());
    }
    Ok((name, read(&mut rest, |_| false)?))
}

/// Up to an end that is not escaped.
fn read(rest: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Result<String, String> {
    let mut out = String::new();
    while let Some(c) = rest.next_if(|c| !ends(*c)) {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => out.push(unicode(rest)?),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// UTF-16, as Java has it: a pair of surrogates is one character.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let first = four(rest)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Ok(c);
    }
    let second = if rest.next() == Some('\\') && rest.next() == Some('u') { four(rest)? } else { 0 };
    let decoded = char::decode_utf16([first, second]).next().and_then(Result::ok);
    decoded.ok_or_else(|| "has half a character in `\\u`".to_owned())
}

fn four(rest: &mut Peekable<Chars<'_>>) -> Result<u16, String> {
    let digits: String = rest.by_ref().take(4).collect();
    u16::from_str_radix(&digits, 16).map_err(|_| "has `\\u` without four hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String) {
        let mut lines = parse(text);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0).1.expect("a property")
    }

    #[test]
    fn as_java_reads_them() {
        for (text, name, value) in [
            ("a=b", "a", "b"),
            ("  a.b  =  c d ", "a.b", "c d "),
            ("a : b=c", "a", "b=c"),
            ("a b", "a", "b"),
            ("a=", "a", ""),
            (r"a\ b\=c=d", "a b=c", "d"),
            (r"a=C:\\x\ty", "a", "C:\\x\ty"),
            (r"a=\u00e4\ud83d\ude00", "a", "ä😀"),
            ("a = b, \\\n    c", "a", "b, c"),
            ("a=b\\\\", "a", "b\\"),
            ("# no\n! neither\n\na=#b", "a", "#b"),
            ("a=b\r\n", "a", "b"),
        ] {
            assert_eq!(one(text), (name.to_owned(), value.to_owned()), "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_line() {
        let lines = parse("a=b\n\nnonsense\nc=\\\n  d\ne=\\u12x4\nf=\\ud83d");
        let bad: Vec<_> =
            lines.into_iter().filter_map(|(number, line)| Some((number, line.err()?))).collect();
        assert_eq!(bad.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3, 6, 7]);
        assert_eq!(bad[0].1, "is not `name=value`");
    }
}
