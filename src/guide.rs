//! The code of the README and of the guide: compiled and run as doctests, so that pages stay true.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        $(
            #[doc = include_str!($path)]
            struct $name;
        )*
    };
}

pages! {
    Readme: "../README.md",
    GettingStarted: "../guide/src/getting-started.md",
    Concepts: "../guide/src/concepts.md",
    Windows: "../guide/src/windows.md",
    Stores: "../guide/src/stores.md",
    Bars: "../guide/src/bars.md",
    Guarantees: "../guide/src/guarantees.md",
    Operations: "../guide/src/operations.md",
    Errors: "../guide/src/errors.md",
    Configuration: "../guide/src/configuration.md",
    Testing: "../guide/src/testing.md",
    Architecture: "../guide/src/architecture.md",
    KafkaStreams: "../guide/src/kafka-streams.md",
    ChangingKeys: "../guide/src/changing-keys.md",
    Performance: "../guide/src/performance.md",
}

#[cfg(feature = "kafka")]
pages! {
    RunningOnKafka: "../guide/src/running-on-kafka.md",
}
