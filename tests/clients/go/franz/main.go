// What a member of the scenario does, with franz-go (see ../../README.md).
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

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
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
	case "chain":
		err = chain(args[0], args[1], args[2], args[3], args[4])
	default:
		err = fmt.Errorf("unknown command: %s", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func produce(bootstrap, topic, codec, label, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.ProducerLinger(20*time.Millisecond),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = kgo.KeyStringRecord(strconv.Itoa(i), fmt.Sprintf("%s-%d", label, i))
	}
	return client.ProduceSync(context.Background(), records...).FirstErr()
}

func consume(bootstrap, topic, group string) error {
	// Partitions come and go one by one: this is a cooperative group.
	held := map[int32]bool{}
	assigned := func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
		for _, partition := range added[topic] {
			held[partition] = true
		}
		sayHeld(held)
	}
	revoked := func(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
		for _, partition := range removed[topic] {
			delete(held, partition)
		}
		sayHeld(held)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(topic),
		kgo.ConsumerGroup(group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.SessionTimeout(10*time.Second),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.OnPartitionsAssigned(assigned),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(revoked),
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println("record", r.Partition, r.Offset, string(r.Value))
		})
		err := client.CommitUncommittedOffsets(context.Background())
		// A rebalance may come between: whoever has the partition then reads these records again.
		if err != nil && !errors.Is(err, kerr.RebalanceInProgress) && !errors.Is(err, kerr.IllegalGeneration) {
			return err
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
	fmt.Println("left")
	return nil
}

func sayHeld(held map[int32]bool) {
	words := []string{"assigned"}
	for partition := range held {
		words = append(words, strconv.Itoa(int(partition)))
	}
	slices.Sort(words[1:])
	fmt.Println(strings.Join(words, " "))
}
