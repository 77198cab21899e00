import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a share group until standard input ends: Share BOOTSTRAP TOPIC GROUP WAY.
 *
 * WAY is how it acknowledges: `accept`, `hold` (nothing), `mixed` (of values that end in 3 it releases the first
 * delivery, those that end in 7 it rejects) or `implicit`. It writes `record VALUE DELIVERIES` for what it gets, and `done VALUE` once the broker has
 * taken its acknowledgement.
 */
public class Share {
    static AcknowledgeType kind(String way, ConsumerRecord<String, String> record) {
        boolean first = record.deliveryCount().orElse((short) 0) == 1;
        if (!way.equals("mixed")) return AcknowledgeType.ACCEPT;
        if (record.value().endsWith("3") && first) return AcknowledgeType.RELEASE;
        return record.value().endsWith("7") ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT;
    }

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1], group = args[2], way = args[3];
        var consumer = new KafkaShareConsumer<>(
            Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", group,
                "share.acknowledgement.mode", way.equals("implicit") ? "implicit" : "explicit",
                "reconnect.backoff.max.ms", "200", "default.api.timeout.ms", "60000"),
            new StringDeserializer(), new StringDeserializer());
        var ended = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException e) { }
            consumer.wakeup();
        });
        ended.setDaemon(true);
        ended.start();
        consumer.subscribe(List.of(topic));
        boolean held = false;
        try {
            while (ended.isAlive()) {
                if (held) {
                    Thread.sleep(50);
                    continue;
                }
                var polled = new ArrayList<ConsumerRecord<String, String>>();
                consumer.poll(Duration.ofMillis(500)).forEach(polled::add);
                for (var record : polled) {
                    System.out.println("record " + record.value() + " " + record.deliveryCount().get());
                    if (way.equals("accept") || way.equals("mixed"))
                        consumer.acknowledge(record, kind(way, record));
                }
                held = way.equals("hold") && !polled.isEmpty();
                if (held) continue;
                var results = consumer.commitSync();
                boolean taken = results.values().stream().allMatch(e -> e.isEmpty());
                for (var record : polled)
                    if (taken) System.out.println("done " + record.value());
            }
        } catch (org.apache.kafka.common.errors.WakeupException e) {
            // Told to end.
        }
        consumer.close(Duration.ofSeconds(10));
        System.exit(0);
    }
}
