//! What `build()` refuses, with the line that made it.

use super::*;
use crate::time::{TimeWindows, Windowed, milliseconds as ms, minutes};

fn source(builder: &StreamsBuilder) -> KStream<String, u64> {
    builder.stream("in", Consumed::default())
}
fn counts(builder: &StreamsBuilder, grace: u64) -> KTable<Windowed<String>, u64> {
    let windows = TimeWindows::of_size(minutes(1)).grace(ms(grace));
    source(builder).group_by_key().windowed_by(windows).count(Materialized::named("counts"))
}

/// Each text is in the one error, and each mistake that has a line has one of this file's.
fn refused(builder: StreamsBuilder, expected: &[&str]) -> String {
    let error = builder.build().expect_err("refused");
    assert!(error.is_invalid_topology());
    let text = error.to_string();
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    text
}

fn here(line: u32) -> String {
    format!("at: {}:{line}:", file!())
}

#[test]
fn grouping_by_a_key_that_has_changed() {
    let builder = StreamsBuilder::new();
    let changed = source(&builder).select_key(|_, n| n.to_string());
    let line = line!() + 1;
    let _ = changed.group_by_key().count(Materialized::named("a"));
    let _ = changed.filter(|_, _| true).to_table(Materialized::named("b"));
    let help = ".repartition(Repartitioned::named(..))";
    let (first, second) = (here(line), here(line + 1));
    let parts = ["2 mistakes", "`group_by_key` after the key", "`to_table` after", help, &first, &second];
    refused(builder, &parts);
}

#[test]
fn after_a_repartition_the_key_is_where_it_belongs() {
    let builder = StreamsBuilder::new();
    let moved = source(&builder).select_key(|_, n| n.to_string()).repartition(Repartitioned::named("r"));
    let _ = moved.map_values(|n| n + 1).group_by_key().count(Materialized::named("a"));
    assert!(builder.build().is_ok());
}

#[test]
fn a_merge_with_a_changed_key_has_a_changed_key() {
    let builder = StreamsBuilder::new();
    let stream = source(&builder);
    let _ =
        stream.merge(&stream.select_key(|_, n| n.to_string())).group_by_key().count(Materialized::named("a"));
    refused(builder, &["`group_by_key` after the key has changed"]);
}

#[test]
fn finals_of_windows_that_nobody_defines() {
    let builder = StreamsBuilder::new();
    let read = finals_from_a_topic(&builder);
    let table = read.to_table(Materialized::named("t"));
    let line = line!() + 1;
    let _ = table.suppress(Suppressed::until_window_closes());
    let _ = table.fill_gaps(GapFill::with(|_| 0), Materialized::named("known"));
    let lines: Vec<_> = (line..line + 2).map(here).collect();
    let text = refused(builder, &["2 mistakes", "`until_window_closes` where", "`fill_gaps` where"]);
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
}

fn finals_from_a_topic(builder: &StreamsBuilder) -> KStream<Windowed<String>, u64> {
    let key = crate::serdes::WindowedSerde::of(crate::serdes::Utf8).size(minutes(1));
    builder.stream("finals", Consumed::with(key, crate::serdes::BigEndian))
}

/// Finals of another application can be rolled up where their keys belong, and only there.
#[test]
fn a_roll_up_where_keys_are_not_at_home() {
    let builder = StreamsBuilder::new();
    let read = finals_from_a_topic(&builder);
    let fives = || TimeWindows::of_size(minutes(5));
    let _ = read.roll_up(fives()).aggregate(|| 0, |_, _, _, _| {}, Materialized::named("fine"));
    let moved = read.select_key(|key, _| key.clone());
    let line = line!() + 1;
    let _ = moved.roll_up(fives()).aggregate(|| 0, |_, _, _, _| {}, Materialized::named("moved"));
    let text = refused(builder, &["`roll_up` after the key has changed", &here(line)]);
    assert!(text.starts_with("error[HW0201]: `roll_up`"), "said once:\n{text}");
}

#[test]
fn finals_of_finals_and_gaps_behind_them() {
    let builder = StreamsBuilder::new();
    let finals = counts(&builder, 0).suppress(Suppressed::until_window_closes());
    let _ = finals.suppress(Suppressed::until_window_closes());
    let _ = finals.fill_gaps(GapFill::with(|_| 0), Materialized::named("known"));
    refused(builder, &["2 mistakes", "`until_window_closes` of finals", "`fill_gaps` behind `suppress`"]);
}

#[test]
fn a_roll_up_of_live_updates() {
    let builder = StreamsBuilder::new();
    let live = counts(&builder, 0).to_stream();
    let _ = live.roll_up(TimeWindows::of_size(minutes(5))).aggregate(
        || 0,
        |_, _, _, _| {},
        Materialized::named("r"),
    );
    refused(builder, &["`roll_up` of live updates", "until_window_closes"]);
}

#[test]
fn a_roll_up_with_less_grace_than_its_children() {
    let builder = StreamsBuilder::new();
    let finals = counts(&builder, 5).suppress(Suppressed::until_window_closes()).to_stream();
    let fives = |grace| TimeWindows::of_size(minutes(5)).grace(ms(grace));
    let fine = finals.roll_up(fives(5)).aggregate(|| 0, |_, _, _, _| {}, Materialized::named("fine"));
    let line = line!() + 1;
    let _ = finals.roll_up(fives(4)).aggregate(|| 0, |_, _, _, _| {}, Materialized::named("less"));
    let again = fine.suppress(Suppressed::until_window_closes()).to_stream();
    let _ = again.roll_up(fives(3)).aggregate(|| 0, |_, _, _, _| {}, Materialized::named("lesser"));
    let at = here(line);
    let parts = ["2 mistakes", "a grace of 4 ms over windows with 5 ms", "3 ms over windows with 5 ms", &at];
    refused(builder, &parts);
}

#[test]
fn windows_that_are_not_possible() {
    let builder = StreamsBuilder::new();
    let grouped = source(&builder).group_by_key();
    let line = line!() + 1;
    let _ = grouped.windowed_by(TimeWindows::of_size(ms(0))).count(Materialized::named("zero"));
    let hopping = TimeWindows::of_size(minutes(5)).advance_by(minutes(1));
    let counts = grouped.windowed_by(hopping).count(Materialized::named("hop"));
    let _ = counts.fill_gaps(GapFill::with(|_| 0), Materialized::named("known"));
    refused(builder, &["2 mistakes", "size zero", "`fill_gaps` over overlapping windows", &here(line)]);
}

#[test]
fn late_records_of_no_aggregate() {
    let builder = StreamsBuilder::new();
    let windowed = source(&builder).group_by_key().windowed_by(TimeWindows::of_size(minutes(1)));
    let line = line!() + 1;
    windowed.late().to("late", Produced::default());
    let text = refused(builder, &["no aggregate leaves records to `HIGHWATER-LATE-0000000001`", &here(line)]);
    assert!(text.starts_with("error[HW0201]: no aggregate"), "said once:\n{text}");
}

#[test]
fn closures_before_the_nulls_they_would_see() {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::<String, u64>::default().timestamp(|_, n| Timestamp(*n as i64)).null_values();
    let produced = Produced::<String, u64>::default().partition_by(|_, n, of| *n as u32 % of).null_values();
    builder.stream("in", consumed).to("out", produced);
    refused(
        builder,
        &["2 mistakes", "the timestamp extractor was given before", "the partitioner was given before"],
    );
}

#[test]
fn streams_of_two_builders_and_of_no_topics() {
    let (builder, other) = (StreamsBuilder::new(), StreamsBuilder::new());
    let _ = source(&builder).merge(&source(&other));
    let _ = builder.streams::<String, u64>(&[], Consumed::default());
    refused(builder, &["2 mistakes", "streams of two builders", "a stream of no topics"]);
}

#[test]
fn names_twice_and_names_that_cannot_be() {
    let builder = StreamsBuilder::new();
    let grouped = source(&builder).group_by_key();
    let _ = grouped.count(Materialized::named("a"));
    let _ = grouped.count(Materialized::named("a"));
    source(&builder).to("no topic", Produced::default());
    let _ = builder.stream_pattern::<String, u64>("(", Consumed::default());
    refused(builder, &["store `a` is defined twice", "`no topic`", "both read `in`", "pattern `(`"]);
}
