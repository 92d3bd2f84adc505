//! Misuse that does not compile.
//!
//! No serde for a value:
//! ```compile_fail,E0277
//! # use highwater::*; struct Click;
//! fn f(builder: &StreamsBuilder) { let _ = builder.stream::<String, Click>("clicks", Consumed::default()); }
//! ```
//! No serde for what a store keeps:
//! ```compile_fail,E0277
//! # use highwater::*; #[derive(Default)] struct Seen { clicks: u64 }
//! fn f(clicks: &KStream<String, u64>) {
//!     let _ = clicks.group_by_key().aggregate(Seen::default, |_, _, seen| seen.clicks += 1, Materialized::named("seen"));
//! }
//! ```
//! No serde for what leaves:
//! ```compile_fail,E0277
//! # use highwater::*; struct Click;
//! fn f(clicks: &KStream<String, Click>) { clicks.to("clicks", Produced::default()); }
//! ```
//! No serde for what a buffer holds:
//! ```compile_fail,E0277
//! # use highwater::{*, time::seconds}; struct Seen;
//! fn f(seen: &KTable<String, Seen>) {
//!     let _ = seen.suppress(Suppressed::until_time_limit(seconds(1), Materialized::named("soon")));
//! }
//! ```
//! Nothing closes in a table without windows:
//! ```compile_fail,E0277
//! # use highwater::*;
//! fn f(clicks: &KStream<String, u64>) {
//!     let _ = clicks.group_by_key().count(Materialized::named("clicks")).suppress(Suppressed::until_window_closes());
//! }
//! ```
//! Keys that may be missing:
//! ```compile_fail,E0277
//! # use highwater::{*, serdes::Utf8};
//! fn f(builder: &StreamsBuilder) {
//!     let _ = builder.stream("clicks", Consumed::with(Utf8, Utf8).null_keys()).group_by_key();
//! }
//! ```
//! A key that is computed and may be missing: null is not a key's bytes.
//! ```compile_fail,E0277
//! # use highwater::*;
//! fn f(clicks: &KStream<String, Option<String>>) {
//!     let _ = clicks.group_by(|_, user| user.clone(), Grouped::named("by-user"));
//! }
//! ```
//! Keys that were never read:
//! ```compile_fail,E0277
//! # use highwater::{*, serdes::Utf8};
//! fn f(builder: &StreamsBuilder) { let _ = builder.stream("lines", Consumed::values(Utf8)).group_by_key(); }
//! ```
//! Windowed keys read with a serde that does not know where the windows end:
//! ```compile_fail,E0277
//! # use highwater::{*, serdes::*};
//! fn f(builder: &StreamsBuilder) {
//!     let counts: KStream<Windowed<String>, u64> =
//!         builder.stream("counts", Consumed::with(WindowedSerde::of(Utf8), BigEndian));
//! }
//! ```
//! ```compile_fail,E0277
//! # use highwater::*;
//! fn f(builder: &StreamsBuilder) {
//!     let _ = builder.stream::<Windowed<String>, u64>("counts", Consumed::default());
//! }
//! ```
//! One windowed stream feeds one aggregate, so that its late records have one meaning:
//! ```compile_fail,E0382
//! # use highwater::{*, time::*};
//! fn f(clicks: &KStream<String, u64>) {
//!     let windowed = clicks.group_by_key().windowed_by(TimeWindows::of_size(minutes(1)));
//!     let _ = windowed.count(Materialized::named("a"));
//!     let _ = windowed.count(Materialized::named("b"));
//! }
//! ```
