// What a member of the scenario does, with sarama (see ../../README.md).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func main() {
	log.SetFlags(0)
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "codecs":
		for name := range codecs {
			fmt.Println(name)
		}
	case "produce":
		err = produce(args[0], args[1], args[2], args[3], args[4])
	case "consume":
		err = consume(args[0], args[1], args[2])
	case "transact":
		err = transact(args[0], args[1], args[2])
	default:
		err = fmt.Errorf("unknown command: %s", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	return config
}

func producer(bootstrap, transactionalID string, codec sarama.CompressionCodec) (sarama.SyncProducer, error) {
	config := config()
	config.Net.MaxOpenRequests = 1
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Compression = codec
	config.Producer.Transaction.ID = transactionalID
	return sarama.NewSyncProducer([]string{bootstrap}, config)
}

func produce(bootstrap, topic, codec, label, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	producer, err := producer(bootstrap, "", codecs[codec])
	if err != nil {
		return err
	}
	messages := make([]*sarama.ProducerMessage, n)
	for i := range messages {
		messages[i] = &sarama.ProducerMessage{
			Topic: topic,
			Key:   sarama.StringEncoder(strconv.Itoa(i)),
			Value: sarama.StringEncoder(fmt.Sprintf("%s-%d", label, i)),
		}
	}
	return errors.Join(producer.SendMessages(messages), producer.Close())
}

// A member of a group: what it does with each assignment.
type member struct{ topic string }

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	words := []string{"assigned"}
	for _, partition := range session.Claims()[m.topic] {
		words = append(words, strconv.Itoa(int(partition)))
	}
	slices.Sort(words[1:])
	fmt.Println(strings.Join(words, " "))
	return nil
}

func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Println("record", message.Partition, message.Offset, string(message.Value))
		session.MarkMessage(message, "")
		if len(claim.Messages()) == 0 {
			session.Commit()
		}
	}
	session.Commit()
	return nil
}

func consume(bootstrap, topic, group string) error {
	config := config()
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	// Each turn ends with a rebalance.
	for ctx.Err() == nil {
		if err := consumer.Consume(ctx, []string{topic}, member{topic}); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if err := consumer.Close(); err != nil {
		return err
	}
	fmt.Println("left")
	return nil
}

// Sends one record in a transaction, which is then ended by `end`.
func inTransaction(producer sarama.SyncProducer, topic, value string, end func() error) error {
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)})
	if err != nil {
		return err
	}
	return end()
}

func transact(bootstrap, topic, group string) error {
	first, err := producer(bootstrap, "sarama", sarama.CompressionNone)
	if err != nil {
		return err
	}
	if err := inTransaction(first, topic, "committed-1", first.CommitTxn); err != nil {
		return err
	}
	if err := inTransaction(first, topic, "aborted", first.AbortTxn); err != nil {
		return err
	}
	withOffset := func() error {
		offsets := map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: 42}}}
		return errors.Join(first.AddOffsetsToTxn(offsets, group), first.CommitTxn())
	}
	if err := inTransaction(first, topic, "committed-2", withOffset); err != nil {
		return err
	}
	second, err := producer(bootstrap, "sarama", sarama.CompressionNone)
	if err != nil {
		return err
	}
	if err := inTransaction(first, topic, "fenced", first.CommitTxn); err != nil {
		fmt.Println("fenced")
	}
	if err := inTransaction(second, topic, "committed-3", second.CommitTxn); err != nil {
		return err
	}
	if err := sayOffset(bootstrap, topic, group); err != nil {
		return err
	}
	return readCommitted(bootstrap, topic, "committed-3")
}

func sayOffset(bootstrap, topic, group string) error {
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config())
	if err != nil {
		return err
	}
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}})
	if err != nil {
		return err
	}
	fmt.Println("offset", offsets.GetBlock(topic, 0).Offset)
	return admin.Close()
}

func readCommitted(bootstrap, topic, last string) error {
	config := config()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	partition, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	for message := range partition.Messages() {
		fmt.Println("read", string(message.Value))
		if string(message.Value) == last {
			break
		}
	}
	return errors.Join(partition.Close(), consumer.Close())
}
