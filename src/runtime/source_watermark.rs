//! The watermark of a source partition: its records move it and, where it is idle, the clock.
//!
//! Idle is only what a broker confirmed. The log end is asked for at a time `c`; when the **processed** position has
//! reached the answer, the partition was caught up at `c`, whatever happened since. If it had then been silent for an
//! idle timeout, its watermark is at least `c - idle timeout`. Without an answer nothing moves.

use crate::runtime::task::Held;
use crate::time::Timestamp;
use std::time::Duration;

/// Of one partition, in one life of its task: silence is counted anew in the next.
#[derive(Clone, Debug)]
pub(crate) struct SourceWatermark {
    out_of_orderness: Duration,
    idle_timeout: Option<Duration>,
    value: Timestamp,
    /// The application's clock at the last record, or when the task started.
    active: Timestamp,
    asked: Option<Timestamp>,
    answer: Option<Answer>,
    /// Caught up at this time by the clock.
    confirmed: Option<Timestamp>,
}

/// When it was asked, and the log end it was told, read-uncommitted.
#[derive(Clone, Copy, Debug)]
struct Answer {
    asked: Timestamp,
    end: i64,
}

impl SourceWatermark {
    pub(crate) fn new(out_of_orderness: Duration, idle_timeout: Option<Duration>, now: Timestamp) -> Self {
        let (value, active) = (Timestamp::MIN, now);
        Self { out_of_orderness, idle_timeout, value, active, asked: None, answer: None, confirmed: None }
    }

    pub(crate) fn watermark(&self) -> Timestamp {
        self.value
    }

    /// Never falls below this.
    pub(crate) fn raise(&mut self, to: Timestamp) {
        self.value = self.value.max(to);
    }

    /// A record was processed that moves time.
    #[inline]
    pub(crate) fn record(&mut self, at: Timestamp, now: Timestamp) {
        self.active = now;
        self.raise(at.minus(self.out_of_orderness));
    }
    /// A record was handled that moves no time.
    pub(crate) fn timeless_record(&mut self, now: Timestamp) {
        self.active = now;
    }

    /// After a pause: silence is counted anew, and what was answered before says nothing of it.
    pub(crate) fn resume(&mut self, now: Timestamp) {
        (self.active, self.asked, self.answer, self.confirmed) = (now, None, None, None);
    }

    pub(crate) fn ask(&mut self, now: Timestamp) {
        self.asked = Some(now);
    }
    /// Of answers that overtake each other the one that was asked for last says most.
    pub(crate) fn answered(&mut self, asked: Timestamp, end: i64) {
        if self.answer.is_none_or(|answer| answer.asked <= asked) {
            self.answer = Some(Answer { asked, end });
        }
    }

    /// Takes the idle value; `position` is the processed one.
    pub(crate) fn evaluate(&mut self, position: i64) {
        let (Some(answer), Some(timeout)) = (self.answer, self.idle_timeout) else { return };
        if position < answer.end {
            return;
        }
        self.confirmed = self.confirmed.max(Some(answer.asked));
        if answer.asked >= self.active.plus(timeout) {
            self.raise(answer.asked.minus(timeout));
        }
    }

    /// When the log end should be asked for, if nothing comes: every `interval` once it can count, and at the moment
    /// at which the clock has moved the watermark to `alarm`.
    pub(crate) fn next_question(&self, alarm: Timestamp, interval: Duration) -> Option<Timestamp> {
        let first = self.active.plus(self.idle_timeout?);
        let Some(asked) = self.asked else { return Some(first) };
        let periodic = asked.plus(interval).max(first);
        Some(
            self.wanted(alarm)
                .filter(|wanted| asked < *wanted)
                .map_or(periodic, |wanted| wanted.min(periodic)),
        )
    }

    /// When the clock will have moved the watermark to `alarm`, if the partition stays silent and answers come.
    pub(crate) fn reaches(&self, alarm: Timestamp, interval: Duration) -> Option<Timestamp> {
        let wanted = self.wanted(alarm)?;
        match self.asked {
            Some(asked) if asked >= wanted => Some(asked.plus(interval)),
            _ => Some(wanted),
        }
    }

    /// The first time that an answer must be asked for at to move the watermark to `alarm`.
    fn wanted(&self, alarm: Timestamp) -> Option<Timestamp> {
        let timeout = self.idle_timeout?;
        (alarm < Timestamp::MAX).then(|| alarm.max(self.active).plus(timeout))
    }

    /// Why it is where it is, given the processed position and that nothing is buffered.
    pub(crate) fn held(&self, position: i64, now: Timestamp) -> Held {
        let Some(timeout) = self.idle_timeout else { return Held::NoIdleTimeout };
        let until = self.active.plus(timeout);
        if now < until {
            return Held::Silent(until);
        }
        match self.answer {
            Some(answer) if position < answer.end => Held::Lagging { position, end: answer.end },
            _ if self.confirmed.is_some_and(|confirmed| confirmed >= until) => Held::Idle,
            _ => Held::Unanswered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::milliseconds as ms;

    const IDLE: Duration = ms(30);

    fn at(out_of_orderness: u64, now: i64) -> SourceWatermark {
        SourceWatermark::new(ms(out_of_orderness), Some(IDLE), Timestamp(now))
    }

    #[test]
    fn records_move_it_and_never_back() {
        let mut source = at(5, 0);
        for (record, expected) in [(100, 95), (90, 95), (101, 96)] {
            source.record(Timestamp(record), Timestamp(0));
            assert_eq!(source.watermark().0, expected);
        }
    }

    #[test]
    fn the_clock_alone_moves_nothing() {
        let mut source = at(0, 1000);
        source.record(Timestamp(900), Timestamp(1000));
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp(900));
        assert_eq!(source.held(7, Timestamp(1029)), Held::Silent(Timestamp(1030)));
        assert_eq!(source.held(7, Timestamp(5000)), Held::Unanswered);
    }

    #[test]
    fn an_answer_counts_from_when_it_was_asked() {
        let mut source = at(0, 1000);
        source.answered(Timestamp(1029), 7);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp::MIN, "silent for 29 when it was asked");
        source.answered(Timestamp(1030), 7);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp(1000));
        source.answered(Timestamp(1045), 7);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp(1015));
    }

    #[test]
    fn only_the_processed_position_counts() {
        let mut source = at(0, 1000);
        source.answered(Timestamp(1040), 8);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp::MIN);
        assert_eq!(source.held(7, Timestamp(1041)), Held::Lagging { position: 7, end: 8 });
        source.evaluate(8);
        assert_eq!(source.watermark(), Timestamp(1010), "a marker was stepped over: no record came");
        assert_eq!(source.held(8, Timestamp(1041)), Held::Idle);
    }

    #[test]
    fn a_record_ends_the_silence() {
        let mut source = at(0, 1000);
        source.answered(Timestamp(1040), 8);
        source.record(Timestamp(900), Timestamp(1041));
        source.evaluate(8);
        assert_eq!(source.watermark(), Timestamp(900));
        source.answered(Timestamp(1071), 8);
        source.evaluate(8);
        assert_eq!(source.watermark(), Timestamp(1041));
    }

    #[test]
    fn after_a_pause_silence_is_counted_anew() {
        let mut source = at(0, 1000);
        source.ask(Timestamp(1029));
        source.answered(Timestamp(1029), 7);
        source.resume(Timestamp(2000));
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp::MIN, "the answer is from before the pause");
        assert_eq!(source.next_question(Timestamp::MAX, ms(10)), Some(Timestamp(2030)));
        source.answered(Timestamp(2029), 7);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp::MIN, "silent for 29 since then");
        source.answered(Timestamp(2030), 7);
        source.evaluate(7);
        assert_eq!(source.watermark(), Timestamp(2000));
    }

    #[test]
    fn an_overtaken_answer_is_dropped() {
        let mut source = at(0, 1000);
        source.answered(Timestamp(1050), 9);
        source.answered(Timestamp(1040), 8);
        source.evaluate(8);
        assert_eq!(source.watermark(), Timestamp::MIN);
    }

    #[test]
    fn asks_when_an_answer_can_count() {
        let every = ms(10);
        let mut source = at(0, 1000);
        assert_eq!(source.next_question(Timestamp::MAX, every), Some(Timestamp(1030)));
        source.ask(Timestamp(1030));
        assert_eq!(source.next_question(Timestamp::MAX, every), Some(Timestamp(1040)));
        assert_eq!(source.next_question(Timestamp(1004), every), Some(Timestamp(1034)), "for the alarm");
        assert_eq!(source.reaches(Timestamp(1004), every), Some(Timestamp(1034)));
        source.ask(Timestamp(1034));
        assert_eq!(source.next_question(Timestamp(1004), every), Some(Timestamp(1044)), "it did not help");
        assert_eq!(source.reaches(Timestamp(1004), every), Some(Timestamp(1044)));
        assert_eq!(source.reaches(Timestamp::MAX, every), None);
        let never = SourceWatermark::new(ms(0), None, Timestamp(0));
        assert_eq!(
            (never.next_question(Timestamp(1), every), never.reaches(Timestamp(1), every)),
            (None, None)
        );
    }
}
