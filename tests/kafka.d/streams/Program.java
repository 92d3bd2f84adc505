import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindowedDeserializer;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.TopicPartitionMetadata;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers;

/**
 * Kafka Streams on topics that Highwater has a part in. `Program WHAT NAMES...` prints a line for whatever it sees. A
 * topology runs until there is a line of input, or its end: `stay` closes it as a plain `close()` does, any other line
 * leaves the group too. Nothing runs for longer than LIMIT.
 */
public final class Program {
    private static final String BOOTSTRAP = System.getenv("HIGHWATER_TEST_BOOTSTRAP");
    private static final Duration LIMIT = Duration.ofMinutes(3);
    private static final Duration MINUTE = Duration.ofMinutes(1);

    public static void main(String[] args) throws Exception {
        endInTime();
        switch (args[0]) {
            case "words" -> run(args[1], args[2], words(args[3], args[4]));
            case "windows" -> run(args[1], args[2], windows(args[3], args[4]));
            case "split" -> run(args[1], args[2], split(args[3], args[4]));
            case "copy" -> run(args[1], args[2], copy(args[3], args[4]));
            case "look" -> run(args[1], args[2], look(args[3], args[4]));
            case "windowed-keys" -> windowedKeys(args[1], Integer.parseInt(args[2]));
            case "metadata" -> metadata(args[1], Arrays.asList(args).subList(2, args.length));
            default -> throw new IllegalArgumentException("what is " + args[0] + "?");
        }
        // What a client's thread still does is of no interest.
        System.exit(0);
    }

    private static void endInTime() {
        Thread limit = new Thread(() -> {
            Utils.sleep(LIMIT.toMillis());
            say("not done after " + LIMIT);
            Runtime.getRuntime().halt(3);
        });
        limit.setDaemon(true);
        limit.start();
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    // ---- topologies

    /** Counts words, with the names that the test gives its own topology. */
    private static StreamsBuilder words(String lines, String counts) {
        StreamsBuilder builder = new StreamsBuilder();
        byWord(builder, lines)
            .groupBy((key, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
            .count(Materialized.as("word-counts"))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(counts, Produced.with(Serdes.String(), Serdes.String()));
        return builder;
    }

    private static KStream<String, String> byWord(StreamsBuilder builder, String lines) {
        return texts(builder, lines).flatMapValues(line -> List.of(line.toLowerCase().split(" ")));
    }

    private static KStream<String, String> texts(StreamsBuilder builder, String topic) {
        return builder.stream(topic, Consumed.with(Serdes.String(), Serdes.String()));
    }

    /** Counts per key and minute, under windowed keys. */
    private static StreamsBuilder windows(String lines, String counts) {
        StreamsBuilder builder = new StreamsBuilder();
        texts(builder, lines)
            .groupByKey()
            .windowedBy(TimeWindows.ofSizeWithNoGrace(MINUTE))
            .count(Materialized.as("per-minute"))
            .toStream()
            .to(counts, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, MINUTE.toMillis()), Serdes.Long()));
        return builder;
    }

    /** What stands before a repartition topic: the words under themselves. */
    private static StreamsBuilder split(String lines, String repartition) {
        StreamsBuilder builder = new StreamsBuilder();
        byWord(builder, lines)
            .selectKey((key, word) -> word)
            .to(repartition, Produced.with(Serdes.String(), Serdes.String()));
        return builder;
    }

    private static StreamsBuilder copy(String from, String to) {
        StreamsBuilder builder = new StreamsBuilder();
        texts(builder, from).to(to, Produced.with(Serdes.String(), Serdes.String()));
        return builder;
    }

    /** What comes out of a repartition topic, to any processor and to an aggregation. */
    private static StreamsBuilder look(String repartition, String counts) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> words = texts(builder, repartition);
        words.process(Look::new);
        words
            .groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(MINUTE, MINUTE))
            .count(Materialized.as("looked-at"))
            .toStream()
            .map((word, count) -> new org.apache.kafka.streams.KeyValue<>(
                word.key() + "@" + word.window().start(), Long.toString(count)))
            .to(counts, Produced.with(Serdes.String(), Serdes.String()));
        return builder;
    }

    private static final class Look extends ContextualProcessor<String, String, Void, Void> {
        @Override
        public void process(Record<String, String> record) {
            say("record " + record.key() + " " + record.value() + " at " + record.timestamp()
                + " stream time " + context().currentStreamTimeMs());
        }
    }

    // ---- running one

    private static void run(String application, String guarantee, StreamsBuilder builder) throws Exception {
        Path state = Files.createTempDirectory("highwater-streams");
        Topology topology = builder.build();
        KafkaStreams streams = new KafkaStreams(topology, configuration(application, guarantee, state));
        BlockingQueue<String> end = new LinkedBlockingQueue<>();
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            say("failed " + error);
            end.add("failed");
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((state_, before) -> say("state " + state_));
        streams.start();
        Thread input = new Thread(() -> end.add(firstLine()));
        input.setDaemon(true);
        input.start();
        boolean leave = !"stay".equals(end.take());
        CloseOptions options = CloseOptions.timeout(Duration.ofSeconds(30));
        boolean closed = streams.close(leave
            ? options.withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
            : options);
        Utils.delete(state.toFile());
        say("closed " + closed);
    }

    private static String firstLine() {
        try (Scanner input = new Scanner(System.in)) {
            return input.hasNextLine() ? input.nextLine() : "";
        }
    }

    private static Properties configuration(String application, String guarantee, Path state) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, BOOTSTRAP);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG, InMemoryDslStoreSuppliers.class);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6000);
        properties.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 500);
        return properties;
    }

    // ---- without a topology

    /** The first records of a topic whose keys are windowed. */
    private static void windowedKeys(String topic, int records) {
        Map<String, Object> configuration = new HashMap<>();
        configuration.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, BOOTSTRAP);
        configuration.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        var keys = new TimeWindowedDeserializer<>(new StringDeserializer(), MINUTE.toMillis());
        try (var consumer = new KafkaConsumer<Windowed<String>, Long>(configuration, keys, new LongDeserializer())) {
            var partitions = consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (int seen = 0; seen < records; ) {
                for (ConsumerRecord<Windowed<String>, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    var window = record.key().window();
                    say(record.partition() + " " + record.key().key() + "@" + window.start() + "-" + window.end()
                        + " " + record.value());
                    seen++;
                }
            }
        }
    }

    /** What a group has committed, as Kafka Streams reads it; of the entries those that are asked for. */
    private static void metadata(String group, List<String> names) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", BOOTSTRAP))) {
            Map<String, OffsetAndMetadata> committed = new TreeMap<>();
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, offset) -> committed.put(partition.toString(), offset));
            committed.forEach((partition, offset) -> {
                var decoded = TopicPartitionMetadata.decode(offset.metadata());
                StringBuilder line = new StringBuilder(partition + " offset " + offset.offset());
                line.append(" time ").append(decoded.partitionTime());
                // Encoded again it has the entries alone.
                line.append(" again ").append(decoded.encode());
                for (String name : names) {
                    line.append(' ').append(name).append('=').append(decoded.processorMetadata().get(name));
                }
                say(line.toString());
            });
        }
    }
}
