import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The scenario `transact` of tests/clients/README.md, with Java's client: Transact BOOTSTRAP TOPIC GROUP */
public class Transact {
    static KafkaProducer<String, String> producer(String bootstrap) {
        var producer = new KafkaProducer<>(
            Map.<String, Object>of("bootstrap.servers", bootstrap, "transactional.id", "java"),
            new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    public static void main(String[] args) throws Exception {
        String bootstrap = args[0], topic = args[1], group = args[2];
        var partition = new TopicPartition(topic, 0);
        var consumer = new KafkaConsumer<>(
            Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", group,
                "auto.offset.reset", "earliest", "enable.auto.commit", false,
                "isolation.level", "read_committed"),
            new StringDeserializer(), new StringDeserializer());
        var first = producer(bootstrap);
        first.beginTransaction();
        first.send(new ProducerRecord<>(topic, "committed-1"));
        first.commitTransaction();
        first.beginTransaction();
        first.send(new ProducerRecord<>(topic, "aborted")).get();
        first.abortTransaction();
        first.beginTransaction();
        first.send(new ProducerRecord<>(topic, "committed-2"));
        first.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(42)), consumer.groupMetadata());
        first.commitTransaction();
        // What it has open is aborted by whoever takes over.
        first.beginTransaction();
        first.send(new ProducerRecord<>(topic, "open")).get();
        var second = producer(bootstrap);
        try {
            first.commitTransaction();
        } catch (ProducerFencedException e) {
            System.out.println("fenced");
        }
        second.beginTransaction();
        second.send(new ProducerRecord<>(topic, "committed-3"));
        second.commitTransaction();
        var committed = consumer.committed(java.util.Set.of(partition)).get(partition);
        System.out.println("offset " + committed.offset());
        consumer.assign(List.of(partition));
        consumer.seek(partition, 0);
        for (String value = null; !"committed-3".equals(value); ) {
            for (var record : consumer.poll(Duration.ofSeconds(60))) {
                value = record.value();
                System.out.println("read " + value);
            }
        }
        consumer.close();
        first.close(Duration.ZERO);
        second.close();
    }
}
