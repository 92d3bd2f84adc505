//! The guide's page of all properties, made from the data that checks them.
//!
//! `UPDATE=1 cargo test --lib config::reference` writes it anew.

use super::client_properties::{JAVA, Java, RESERVED};
use super::clients::PREFIXES;
use super::properties::{ELSEWHERE, HANDLER_CLASSES, Kind, PROPERTIES, Property};
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# Configuration

<!-- Made from the code: `UPDATE=1 cargo test --lib config::reference` writes this page anew. -->

Names and defaults are Kafka Streams'; what is Highwater's own starts with `highwater.`. A property is set in the
program (`StreamsConfig::set`), in a file in the form of Java's properties (`StreamsConfig::from_file`, `file`), or in the
environment (`StreamsConfig::environment`): the name in capitals after `HIGHWATER_`, with `_` for `.`. The later of two
values counts.

```rust,no_run
# fn main() -> highwater::Result<()> {
use highwater::StreamsConfig;
// HIGHWATER_COMMIT_INTERVAL_MS=200, HIGHWATER_IDLE_TIMEOUT_MS=30000, HIGHWATER_CONSUMER_FETCH_MIN_BYTES=1
let config = StreamsConfig::new(\"word-count\", \"localhost:9092\").file(\"word-count.properties\")?.environment();
config.check()?;
# Ok(())
# }
```

An unknown name is an error with the nearest known one, a value that cannot be says what could; all mistakes are told in
one error. When an application starts it logs each effective value with where it came from. Passwords, keys and tokens are
shown nowhere, and neither are the values of unknown properties.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let table = |page: &mut String, title: &str, text: &str, kafka_only: bool| {
        let _ = write!(
            page,
            "\n## {title}\n\n{text}\n\n| property | values | default | meaning |\n| --- | --- | --- | --- |\n"
        );
        for property in PROPERTIES.iter().filter(|property| property.kafka_only == kafka_only) {
            page.push_str(&row(property));
        }
    };
    table(&mut page, "Everywhere", "With effect on Apache Kafka and on the embedded log.", false);
    table(&mut page, "On Apache Kafka", "Checked and without effect on the embedded log.", true);
    handlers(&mut page);
    passed_on(&mut page);
    page
}

fn row(property: &Property) -> String {
    let default = if property.default.is_empty() { "" } else { &format!("`{}`", property.default) };
    format!(
        "| `{}` | {} | {default} | {} |\n",
        property.name,
        values(property.kind),
        property.doc.replace('|', "\\|")
    )
}

fn values(kind: Kind) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Number(low, i64::MAX) => format!("from {low} on"),
        Kind::Number(low, high) => format!("{low} to {high}"),
        Kind::Millis(low) => format!("ms, from {low} on"),
        Kind::MillisOrOff => "ms, or `off`".to_owned(),
        Kind::OneOf(all) | Kind::Handler(all) => words(all),
        Kind::Servers => "`host:port`, ...".to_owned(),
        Kind::Topic => "a topic".to_owned(),
    }
}

fn handlers(page: &mut String) {
    page.push_str(
        "\nHandlers can be named by Kafka Streams' classes too, with or without their package; those that continue write\n\
         dead letters where a topic is named, as there: ",
    );
    let classes: Vec<String> = HANDLER_CLASSES.iter().map(|class| format!("`{class}`")).collect();
    let _ = writeln!(page, "{}.", classes.join(",\n"));
}

fn passed_on(page: &mut String) {
    page.push_str(
        "\n## Passed on to the clients\n\n\
         Every property of librdkafka (its\n[CONFIGURATION.md](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md))\n\
         can be set. Without a prefix it goes to all clients that have it, such as `security.protocol`, `sasl.*`, `ssl.*`,\n\
         `client.rack`, `socket.*`; with a prefix to one kind of client, and then it counts more.\n\n\
         | prefix | meaning |\n| --- | --- |\n",
    );
    for (prefix, meaning) in PREFIXES {
        let _ = writeln!(page, "| `{prefix}` | {meaning} |");
    }
    page.push_str("\n## Refused\n\nThe engine decides these, with or without a prefix:\n\n| property | why |\n| --- | --- |\n");
    for (name, why) in RESERVED {
        let _ = writeln!(page, "| `{name}` | {why} |");
    }
    page.push_str("\nProperties of Java's clients and of Kafka Streams that are something else here:\n\n| property | here |\n| --- | --- |\n");
    for (name, java) in JAVA {
        let here = match java {
            Java::Is(other) => format!("taken as `{other}`"),
            Java::Instead(instead) => (*instead).to_owned(),
        };
        let _ = writeln!(page, "| `{name}` | {here} |");
    }
    for (name, why) in ELSEWHERE.iter().filter(|(name, _)| super::client_properties::java(name).is_none()) {
        let _ = writeln!(page, "| `{name}` | {why} |");
    }
}

#[test]
fn the_guide_has_every_property() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("guide/src/configuration.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "{} differs from the code: UPDATE=1 cargo test --lib config::reference",
        path.display()
    );
}
