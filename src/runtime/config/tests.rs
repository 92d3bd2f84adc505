use super::*;

#[test]
fn all_mistakes_are_told_together_with_a_suggestion() {
    let config = StreamsConfig::new("app", "")
        .set("comit.interval.ms", "5")
        .set("num.stream.threads", "none")
        .set("default.key.serde", "x");
    let error = config.check().expect_err("three mistakes");
    let text = error.to_string();
    assert!(error.is_invalid_config());
    assert!(text.starts_with("error[HW0101]: 3 mistakes in the configuration"), "{text}");
    assert!(
        text.contains("unknown property `comit.interval.ms` (program): did you mean `commit.interval.ms`?")
    );
    assert!(
        text.contains("`num.stream.threads` is `none` (program); it has to be a whole number from 1 to 1024")
    );
    assert!(text.contains("`default.key.serde` (program): serdes are part of the program"));
}

#[test]
fn a_commit_is_due_before_its_transaction_times_out() {
    let config = StreamsConfig::new("app", "").set("commit.interval.ms", "10000");
    assert!(config.check().is_ok(), "there are no transactions");
    let text = config.clone().exactly_once().check().expect_err("a mistake").to_string();
    assert!(
        text.contains("`commit.interval.ms` is `10000` and `transaction.timeout.ms` is `10000`"),
        "{text}"
    );
    assert!(config.exactly_once().set("transaction.timeout.ms", "10001").check().is_ok());
}

#[test]
fn an_application_id_is_needed_and_fits_a_topic_name() {
    assert!(StreamsConfig::default().check().is_err());
    assert!(StreamsConfig::new("a b", "").check().is_err());
    assert!(StreamsConfig::new("a-b.c_1", "").check().is_ok());
}

#[test]
fn the_commit_interval_depends_on_the_guarantee() {
    let config = StreamsConfig::new("app", "");
    assert_eq!(config.value("commit.interval.ms").as_deref(), Some("30000"));
    assert_eq!(config.clone().exactly_once().value("commit.interval.ms").as_deref(), Some("100"));
    assert_eq!(
        config.exactly_once().set("commit.interval.ms", "7").settings().expect("fine").commit_interval,
        7
    );
}

#[test]
fn secrets_are_hidden_and_sources_shown() {
    let config = StreamsConfig::new("app", "").set("consumer.sasl.password", "hunter2");
    let text = config.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("consumer.sasl.password = ****** (program)"), "{text}");
    assert!(text.contains("max.task.idle.ms = 0 (default)"), "{text}");
    let text = format!("{config:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_of_properties_is_read_with_its_lines() {
    let text = "# a comment\napplication.id=app\n\nhighwater.idle.timeout.ms = \\\n  30000\nnonsense\n";
    let config = StreamsConfig::default().read_properties(text, "app.properties");
    assert_eq!(config.value("highwater.idle.timeout.ms").as_deref(), Some("30000"));
    let error = config.check().expect_err("one mistake").to_string();
    assert!(error.contains("app.properties:6 is not `name=value`"), "{error}");
}

#[test]
fn the_environment_names_both_kinds_of_properties() {
    let variables = [("HIGHWATER_COMMIT_INTERVAL_MS", "5"), ("HIGHWATER_IDLE_TIMEOUT_MS", "7")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = StreamsConfig::new("app", "").read_environment(variables.into());
    config.check().expect("both are known");
    assert_eq!(config.value("commit.interval.ms").as_deref(), Some("5"));
    assert_eq!(config.value("highwater.idle.timeout.ms").as_deref(), Some("7"));
    let unknown = [("HIGHWATER_IDEL_TIMEOUT_MS".to_owned(), "7".to_owned())];
    assert!(StreamsConfig::new("app", "").read_environment(unknown.into()).check().is_err());
}

/// Told all that is logged on this thread.
#[derive(Default)]
struct Ear(std::sync::Mutex<String>);

impl tracing::field::Visit for &Ear {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let mut heard = self.0.lock().expect("not poisoned");
        let _ = std::fmt::Write::write_fmt(&mut *heard, format_args!("{field}={value:?}\n"));
    }
}
struct Listens(std::sync::Arc<Ear>);
impl tracing::Subscriber for Listens {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut &*self.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn with_secrets() -> StreamsConfig {
    let secrets = [
        "sasl.jaas.config",
        "sasl.kerberos.kinit.cmd",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.password",
        "sasl.pasword",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.key",
        "ssl.keystore.password",
        "ssl.truststore.password",
    ];
    let prefixes = ["", "consumer.", "main.consumer.", "restore.consumer.", "producer.", "admin."];
    let names = prefixes.iter().flat_map(|prefix| secrets.iter().map(move |name| format!("{prefix}{name}")));
    names.fold(StreamsConfig::new("app", ""), |config, name| config.set(name, "hunter2"))
}

#[test]
fn secrets_are_shown_nowhere() {
    let config = with_secrets();
    let error = config.check().expect_err("some are not there");
    let mut shown = vec![config.to_string(), format!("{config:?}"), error.to_string(), format!("{error:?}")];
    for kind in [ClientKind::Consumer, ClientKind::Restore, ClientKind::Producer, ClientKind::Admin] {
        let client = config.client_config(kind);
        assert_eq!(
            client.iter().find(|(name, _)| *name == "sasl.password"),
            Some(("sasl.password", "hunter2"))
        );
        shown.push(format!("{client:?}"));
    }
    let file =
        StreamsConfig::default().read_properties("sasl.password\\u12=hunter2\nsasl.password=hunter2", "f");
    shown.extend([file.to_string(), file.check().expect_err("a mistake").to_string()]);
    for text in &shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(shown[0].contains("producer.sasl.password = ****** (program)"), "{}", shown[0]);
}

/// What an application logs when it starts.
#[test]
fn secrets_are_not_logged() {
    use crate::{Consumed, EmbeddedLog, KafkaStreams, Produced, StreamsBuilder};
    let ear = std::sync::Arc::new(Ear::default());
    tracing::subscriber::with_default(Listens(ear.clone()), || {
        let builder = StreamsBuilder::new();
        builder.stream::<String, u64>("in", Consumed::default()).to("out", Produced::default());
        let config = StreamsConfig::new("app", "").set("producer.sasl.password", "hunter2");
        let config = config.set("sasl.username", "ann").set("ssl.key.password", "hunter2");
        let topology = builder.build().expect("builds");
        let running = KafkaStreams::embedded(topology, &EmbeddedLog::new(), config).expect("fine").start();
        drop(running);
    });
    let heard = ear.0.lock().expect("not poisoned");
    assert!(heard.contains("sasl.username = ann (program)"), "{heard}");
    assert!(heard.contains("producer.sasl.password = ****** (program)"), "{heard}");
    assert!(!heard.contains("hunter2"), "{heard}");
}

#[test]
fn dead_letters_need_a_topic_and_groups_a_heartbeat() {
    let text = |config: StreamsConfig| config.check().expect_err("a mistake").to_string();
    let config = || StreamsConfig::new("app", "");
    let wants = text(config().set("processing.exception.handler", "dlq"));
    assert!(wants.contains("`errors.dead.letter.queue.topic.name` is not set"), "{wants}");
    let set = config()
        .set("processing.exception.handler", "dlq")
        .set("errors.dead.letter.queue.topic.name", "dead");
    set.check().expect("fine");
    assert!(text(config().set("errors.dead.letter.queue.topic.name", "a/b")).contains("the name of a topic"));
    assert!(text(config().set("session.timeout.ms", "3000")).contains("has to be less than"));
    assert!(text(config().set("request.timeout.ms", "60001")).contains("default.api.timeout.ms"));
}

#[test]
fn kafka_streams_handlers_write_letters_where_a_topic_is_named() {
    use crate::processor::Response;
    let class = "org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler";
    let config = StreamsConfig::new("app", "").set("processing.exception.handler", class);
    let processing = |config: &StreamsConfig| config.settings().expect("fine").tasks.on_error.processing;
    assert_eq!(processing(&config), Response::Continue);
    assert_eq!(processing(&config.set("errors.dead.letter.queue.topic.name", "dead")), Response::DeadLetter);
    let config =
        StreamsConfig::new("app", "").set("processing.exception.handler", "LogAndFailExceptionHandler");
    assert_eq!(processing(&config), Response::Fail);
}

#[test]
fn a_store_that_was_not_built_in_is_refused_with_its_feature() {
    for name in ["rocksDB", "rocksdb"] {
        let config = StreamsConfig::new("app", "").set("default.dsl.store", name);
        if cfg!(feature = "rocksdb") {
            assert!(config.settings().expect("there").stores.on_disk);
        } else {
            let text = config.check().expect_err("not there").to_string();
            assert!(text.contains("add the feature `rocksdb`"), "{text}");
        }
    }
    assert!(!StreamsConfig::new("app", "").settings().expect("fine").stores.on_disk);
}
