import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The command `chain` of tests/clients/README.md, with Java's client: Chain BOOTSTRAP INPUT OUTPUT GROUP TRANSACTIONAL_ID */
public class Chain {
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private final String output;

    private Chain(String bootstrap, String output, String group, String transactionalId) {
        this.output = output;
        consumer = new KafkaConsumer<>(
            Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", group, "group.protocol", "consumer",
                "auto.offset.reset", "earliest", "enable.auto.commit", false, "isolation.level", "read_committed",
                "fetch.max.wait.ms", 100, "max.poll.records", 50, "reconnect.backoff.max.ms", 200),
            new StringDeserializer(), new StringDeserializer());
        producer = new KafkaProducer<>(
            Map.<String, Object>of("bootstrap.servers", bootstrap, "transactional.id", transactionalId,
                "reconnect.backoff.max.ms", 200),
            new StringSerializer(), new StringSerializer());
    }

    public static void main(String[] args) {
        String bootstrap = args[0], input = args[1], output = args[2], group = args[3], transactionalId = args[4];
        while (true) {
            var chain = new Chain(bootstrap, output, group, transactionalId);
            try {
                chain.producer.initTransactions();
                chain.consumer.subscribe(List.of(input));
                while (true) chain.step();
            } catch (KafkaException e) {
                System.err.println("starts anew after " + e);
            }
            chain.producer.close(Duration.ZERO);
            chain.consumer.close();
        }
    }

    private void step() {
        var records = consumer.poll(Duration.ofMillis(200));
        if (records.isEmpty()) return;
        producer.beginTransaction();
        try {
            copy(records);
        } catch (KafkaException e) {
            System.err.println("aborts after " + e);
            producer.abortTransaction();
            goBack();
        }
    }

    private void copy(ConsumerRecords<String, String> records) {
        for (var record : records) {
            producer.send(new ProducerRecord<>(output, record.key(), "seen " + record.value()));
        }
        producer.sendOffsetsToTransaction(records.nextOffsets(), consumer.groupMetadata());
        producer.commitTransaction();
    }

    /** To what is committed: the records of the aborted transaction are read again. */
    private void goBack() {
        consumer.committed(consumer.assignment()).forEach((partition, committed) -> {
            if (committed == null) consumer.seekToBeginning(List.of(partition));
            else consumer.seek(partition, committed);
        });
    }
}
