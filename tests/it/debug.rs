use crate::run::{Bar, H1, Pipeline, Run, Tick, key, utc};
use highwater::testing::TopologyTestDriver;
use highwater::time::{Timestamp, Window, Windowed};

#[test]
fn debug() {
    for crash in [false, true] {
        let mut run = Run::of(TopologyTestDriver::new(Pipeline::new("24x7").parents_of_a_topic()));
        let hour = utc("2024-03-08T10:00:00Z").0;
        let mut bar = Bar::default();
        bar.trade(&Tick { at: Timestamp(0), price: 100, quantity: 2 });
        for (n, minute) in (0..60).flat_map(|minute| [minute, minute, minute / 2]).enumerate() {
            let start = Timestamp(hour + minute * 60_000);
            let child = Windowed::new(key(1), Window::new(start, Timestamp(start.0 + 60_000)));
            run.child(&child, &bar, start);
            if n % 40 == 39 && crash {
                run.driver.crash_and_restore(0);
            }
        }
        println!("{:?}", run.live(H1).iter().map(|r| r.value.children).collect::<Vec<_>>());
        let next = Timestamp(hour + 3_600_000);
        let child = Windowed::new(key(1), Window::new(next, Timestamp(next.0 + 60_000)));
        run.child(&child, &bar, next);
        let finals = run.finals(H1);
        println!(
            "{} {:?} {:?}",
            finals.len(),
            run.live(H1).iter().map(|r| r.value.children).collect::<Vec<_>>(),
            run.driver.total_counts()
        );
    }
    panic!();
}
