use super::*;

const LIMIT: usize = 4096;
const YEAR_2100: i64 = 4_102_444_800_000;

fn heard(values: Vec<i64>) -> Heard {
    Heard { hash: 0xfeed_beef, values: values.into_iter().map(Timestamp).collect() }
}

/// Vectors of Kafka Streams 4.3.1.
#[test]
fn encodes_as_kafka_streams() {
    let bare = OffsetMetadata::new(Timestamp(1234));
    assert_eq!(bare.encode(LIMIT), "AgAAAAAAAATS");
    let counted = bare.clone().with("cnt".to_owned(), 1000);
    assert_eq!(counted.encode(LIMIT), "AgAAAAAAAATSAAAAAQAAAANjbnQAAAAAAAAD6A==");
    for metadata in [bare, counted] {
        assert_eq!(OffsetMetadata::decode(&metadata.encode(LIMIT)), Some(metadata));
    }
}

#[test]
fn decodes_what_others_wrote() {
    let of_version_1 = STANDARD.encode([1, 0, 0, 0, 0, 0, 0, 4, 0xd2]);
    assert_eq!(OffsetMetadata::decode(&of_version_1), Some(OffsetMetadata::new(Timestamp(1234))));
    let unknown_time = OffsetMetadata::new(Timestamp::MIN);
    assert_eq!(unknown_time.encode(LIMIT), STANDARD.encode([2, 255, 255, 255, 255, 255, 255, 255, 255]));
    assert_eq!(OffsetMetadata::decode(&unknown_time.encode(LIMIT)), Some(unknown_time));
    for text in ["", "not base64!", "AgAA", "CQAAAAAAAATS", "AgAAAAAAAATSAAAAAQAAAANjbn"] {
        assert_eq!(OffsetMetadata::decode(text), None, "`{text}`");
    }
}

#[test]
fn keeps_our_entries() {
    let metadata = OffsetMetadata::new(Timestamp(9))
        .with_watermark(Timestamp(4))
        .with_commit_id(u64::MAX - 1)
        .with_closed("bars-m1", Timestamp(-3))
        .with_changelog("bars-m1", 77);
    let read = OffsetMetadata::decode(&metadata.encode(LIMIT)).expect("reads");
    assert_eq!(read.watermark(), Timestamp(4));
    assert_eq!(read.commit_id(), Some(u64::MAX - 1));
    assert_eq!(read.closed().collect::<Vec<_>>(), [("bars-m1", Timestamp(-3))]);
    assert_eq!((read.changelog("bars-m1"), read.changelog("bars")), (Some(77), None));
    assert_eq!(OffsetMetadata::new(Timestamp(9)).with_watermark(Timestamp::MIN).watermark(), Timestamp::MIN);
}

/// Kafka Streams goes on with the application and commits what it read before, in an order of its own and without the
/// block.
#[test]
fn entries_that_others_carried_on_are_old() {
    let ours = OffsetMetadata::new(Timestamp(9))
        .with_watermark(Timestamp(4))
        .with_commit_id(5)
        .with_advance(Some(Timestamp(4)))
        .with_closed("bars-m1", Timestamp(3))
        .with_changelog("bars-m1", 77)
        .with("of-java".to_owned(), 6);
    let mut bytes = STANDARD.decode(ours.encode(LIMIT)).expect("base64");
    assert_eq!(bytes.pop(), Some(BLOCK));
    let read = OffsetMetadata::decode(&STANDARD.encode(bytes)).expect("reads");
    let left = OffsetMetadata::new(Timestamp(9)).with_closed("bars-m1", Timestamp(3));
    assert_eq!(read, left.with("of-java".to_owned(), 6));
    assert_eq!(OffsetMetadata::decode(&ours.encode(LIMIT)), Some(ours));
}

#[test]
fn keeps_what_was_heard_exactly_while_it_fits() {
    for values in [vec![5], vec![i64::MIN, 1_700_000_000_123], vec![0, YEAR_2100, i64::MIN, -7], vec![3; 400]]
    {
        let metadata = OffsetMetadata { heard: Some(heard(values)), ..OffsetMetadata::new(Timestamp(1)) };
        let read = OffsetMetadata::decode(&metadata.encode(LIMIT)).expect("reads");
        assert_eq!(read, metadata);
    }
    let nobody =
        OffsetMetadata { heard: Some(heard(vec![i64::MIN; 3])), ..OffsetMetadata::new(Timestamp(1)) };
    assert_eq!(OffsetMetadata::decode(&nobody.encode(LIMIT)).expect("reads").heard, None);
}

/// As many writers as a start lets through, each as far from the others as can be: it fits, loses at most 16 s per
/// writer and never gains, and the next restart loses nothing more.
#[test]
fn drops_low_bits_at_absolute_multiples() {
    let writers = (1..).take_while(|n| OffsetMetadata::worst_case_bytes(&["store"], &["store"], *n) <= LIMIT);
    let writers = writers.last().expect("some");
    assert!((600..800).contains(&writers), "{writers}");
    let spread = (0..writers as i64).map(|n| YEAR_2100 - n * 5_999_999_999);
    let metadata =
        OffsetMetadata { heard: Some(heard(spread.collect())), ..OffsetMetadata::new(Timestamp(1)) }
            .with_watermark(Timestamp(1))
            .with_commit_id(1)
            .with_closed("store", Timestamp(1))
            .with_changelog("store", 1);
    let text = metadata.encode(LIMIT);
    assert!(text.len() <= LIMIT, "{}", text.len());
    let once = OffsetMetadata::decode(&text).expect("reads").heard.expect("heard");
    let sent = metadata.heard.clone().expect("heard");
    assert_ne!(once, sent, "some bits had to go");
    for (got, sent) in once.values.iter().zip(&sent.values) {
        assert!((0..1 << MOST_DROPPED).contains(&(sent.0 - got.0)), "{got:?} of {sent:?}");
    }
    let again = OffsetMetadata { heard: Some(once.clone()), ..metadata };
    assert_eq!(OffsetMetadata::decode(&again.encode(LIMIT)).expect("reads").heard, Some(once));
}

/// A damaged or foreign block is no block, whatever its bytes.
#[test]
fn reads_any_bytes() {
    let mut seed = 7_u64;
    let mut chance = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    for length in 0..64 {
        for _ in 0..200 {
            let mut bytes = vec![2, 0, 0, 0, 0, 0, 0, 4, 0xd2, 0, 0, 0, 0];
            bytes.extend((0..length).map(|_| chance()));
            let read = OffsetMetadata::decode(&STANDARD.encode(&bytes)).expect("a time and no entries");
            assert_eq!(read.partition_time, Timestamp(1234));
        }
    }
}
