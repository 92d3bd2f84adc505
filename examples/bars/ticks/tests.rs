use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn read(name: &str, bytes: &[u8]) -> Vec<Result<String, String>> {
    let reader = TickFile::named(name).unwrap().read(io::Cursor::new(bytes.to_vec()));
    reader
        .map(|line| match line {
            Ok((symbol, Tick { at, price, volume })) => Ok(format!("{symbol} {} {price} {volume}", at.0)),
            Err(bad) if bad.fatal => Err(format!("fatal {bad}")),
            Err(bad) => Err(bad.to_string()),
        })
        .collect()
}

/// The reasons of one line under a right header.
fn reason(line: &str) -> String {
    let text = format!("{HEADER}\n{line}\nA,1,2,3\n");
    let lines = read("t.csv", text.as_bytes());
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], Ok("A 1 2 3".to_owned()), "the next line is read");
    lines[0].clone().unwrap_err()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn csv_and_json_lines_plain_and_compressed() {
    let csv = "symbol,ts_ms,price,volume\r\nBTC,1700000000000,101.250,3\r\n\r\n\"A,\"\"B\"\"\",0,-1.5,0\n";
    let json = "{\"symbol\":\"BTC\",\"ts_ms\":1700000000000,\"price\":101.250,\"volume\":\"3\"}\n\n\
                {\"volume\":0,\"price\":\"-1.5\",\"ts_ms\":0,\"symbol\":\"A,\\\"B\\\"\",\"side\":\"buy\"}";
    let expected = vec![Ok("BTC 1700000000000 101.250 3".to_owned()), Ok("A,\"B\" 0 -1.5 0".to_owned())];
    assert_eq!(read("t.csv", csv.as_bytes()), expected);
    assert_eq!(read("t.jsonl", json.as_bytes()), expected);
    assert_eq!(read("t.csv.gz", &gzip(csv.as_bytes())), expected);
    assert_eq!(read("t.jsonl.gz", &gzip(json.as_bytes())), expected);
    assert_eq!(read("t.csv", format!("\u{feff}{csv}").as_bytes()), expected, "with a byte order mark");
    let members = [gzip(&csv.as_bytes()[..40]), gzip(&csv.as_bytes()[40..])].concat();
    assert_eq!(read("t.csv.gz", &members), expected, "of several members");
}

#[test]
fn every_bad_line_has_its_place_and_reason() {
    for (line, expected) in [
        ("A,1,2", "t.csv:2: 3 columns instead of the 4"),
        ("A", "t.csv:2: 1 columns"),
        ("A,1,2,3,4", "t.csv:2: 5 columns"),
        (",1,2,3", "the symbol is empty"),
        ("A,1.5,2,3", "ts_ms: \"1.5\" is not a whole number"),
        ("A,yesterday,2,3", "ts_ms: \"yesterday\""),
        ("A,-1,2,3", "ts_ms: -1 is negative"),
        ("A,1700000000000000,2,3", "microseconds"),
        ("A,99999999999999999999,2,3", "not a whole number of milliseconds"),
        ("A,1,abc,3", "price: \"abc\" is not a number"),
        ("A,1,,3", "price: \"\" is not a number"),
        ("A,1,NaN,3", "price: \"NaN\""),
        ("A,1,2,-3", "volume: -3 is negative"),
        ("A,1,2,1e-40", "volume: \"1e-40\" "),
        (
            "A,1,0.12345678901234567890123456789,1",
            "price: \"0.12345678901234567890123456789\" has more digits",
        ),
        ("\"A,1,2,3", "a quote is opened"),
        ("\"A\"B,1,2,3", "without a comma"),
    ] {
        assert!(reason(line).contains(expected), "{line}: {}", reason(line));
        assert!(reason(line).starts_with("t.csv:2: "), "{}", reason(line));
    }
    assert!(reason(&format!("A,1,2,{}", "3".repeat(LONGEST))).contains("more than 65536 bytes"));
}

#[test]
fn a_far_future_is_left_to_the_engine() {
    assert_eq!(
        read("t.csv", b"symbol,ts_ms,price,volume\nA,4102444800000,1,1\n"),
        [Ok("A 4102444800000 1 1".to_owned())]
    );
}

#[test]
fn what_is_not_utf8_is_named() {
    let lines = read("t.csv", b"symbol,ts_ms,price,volume\n\xff\xfe,1,2,3\nA,1,2,3\n");
    assert_eq!(lines, [Err("t.csv:2: the line is not UTF-8".to_owned()), Ok("A 1 2 3".to_owned())]);
}

#[test]
fn without_the_header_nothing_is_read() {
    for text in ["", "A,1,2,3\nB,1,2,3\n", "symbol,price,ts_ms,volume\nA,1,2,3\n", "\u{0}\u{1}binary"] {
        let lines = read("t.csv", text.as_bytes());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].clone().unwrap_err().starts_with("fatal t.csv:1: the first line must be the header"),
            "{lines:?}"
        );
    }
    assert!(read("t.csv", b"\xff\xff\n")[0].clone().unwrap_err().starts_with("fatal t.csv:1:"));
    assert!(read("t.csv", b"symbol,ts_ms,price,volume").is_empty(), "a file without ticks");
}

#[test]
fn bad_json_lines_are_named() {
    let text = "{\"symbol\":\"A\",\"ts_ms\":1,\"price\":1}\nnot json\n{\"symbol\":\"A\",\"ts_ms\":\"x\",\"price\":1,\"volume\":1}\n\
                {\"symbol\":\"A\",\"ts_ms\":1,\"price\":true,\"volume\":1}\n{\"symbol\":\"A\",\"ts_ms\":1,\"price\":1,\"volume\":1}";
    let lines = read("t.jsonl", text.as_bytes());
    assert_eq!(lines.len(), 5);
    assert!(lines[0].clone().unwrap_err().starts_with("t.jsonl:1: missing field `volume`"), "{lines:?}");
    assert!(lines[1].clone().unwrap_err().starts_with("t.jsonl:2: expected ident at column"), "{lines:?}");
    assert!(lines[2].is_err() && lines[3].is_err(), "{lines:?}");
    assert_eq!(lines[4], Ok("A 1 1 1".to_owned()));
}

#[test]
fn a_compressed_file_that_is_cut_off_ends_with_a_bad_line() {
    let text = (0..20_000)
        .fold(format!("{HEADER}\n"), |text, n| format!("{text}A,{n},{},1\n", (n * 7_919) % 10_007));
    let whole = gzip(text.as_bytes());
    let lines = read("t.csv.gz", &whole[..whole.len() / 2]);
    let (last, before) = lines.split_last().unwrap();
    let number = before.len() + 2;
    assert!(
        before.len() > 1_000 && before.iter().all(Result::is_ok),
        "whole lines only: {:?}",
        before.last()
    );
    assert!(
        last.clone()
            .unwrap_err()
            .starts_with(&format!("t.csv.gz:{number}: the compressed data ends in the middle")),
        "{last:?}"
    );
    for (n, line) in before.iter().enumerate() {
        assert_eq!(*line, Ok(format!("A {n} {} 1", (n * 7_919) % 10_007)));
    }
}

#[test]
fn what_is_not_compressed_says_so() {
    let lines = read("t.csv.gz", b"symbol,ts_ms,price,volume\nA,1,2,3\n");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].clone().unwrap_err().contains("fatal t.csv.gz:1: the file cannot be read"), "{lines:?}");
}

#[test]
fn a_file_is_known_by_its_extension() {
    for name in ["a.csv", "a/b.csv.gz", "x.jsonl", "x.y.jsonl.gz"] {
        assert!(TickFile::named(name).is_ok());
    }
    for name in ["a.xlsx", "csv", "a.gz", "a.json", ""] {
        assert!(TickFile::named(name).unwrap_err().contains(".csv"), "{name}");
    }
    assert!(TickFile::named("no/such.csv").unwrap().open().is_err());
}
