import java.io.File;
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * Counts the words of the lines in the topic `lines`, into `counts`; and how often each line came in each second, into
 * `windows`. Runs until its standard input ends: Streams STATE_DIRECTORY [KEY=VALUE ...]
 */
public class Streams {
    public static void main(String[] args) throws Exception {
        var settings = new Properties();
        settings.put("state.dir", args[0]);
        for (int i = 1; i < args.length; i++) {
            settings.put(args[i].split("=", 2)[0], args[i].split("=", 2)[1]);
        }
        // Every update is seen: what comes out does not depend on when caches are flushed.
        settings.put("statestore.cache.max.bytes", "0");
        settings.put("default.key.serde", Serdes.StringSerde.class.getName());
        settings.put("default.value.serde", Serdes.StringSerde.class.getName());
        var builder = new StreamsBuilder();
        KStream<String, String> lines = builder.stream("lines");
        lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.as("words"))
            .count(Materialized.as("word-counts"))
            .toStream()
            .mapValues(String::valueOf)
            .to("counts", Produced.with(Serdes.String(), Serdes.String()));
        lines.groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(1), Duration.ofDays(1)))
            .count(Materialized.as("line-counts"))
            .toStream()
            .map((window, count) -> org.apache.kafka.streams.KeyValue.pair(
                window.key() + "@" + window.window().start() / 1000, String.valueOf(count)))
            .to("windows");
        var streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((now, before) -> System.out.println("state " + now));
        streams.start();
        while (System.in.read() != -1) { }
        boolean closed = streams.close(Duration.ofSeconds(30));
        System.out.println("closed " + closed);
    }
}
