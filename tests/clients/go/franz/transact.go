package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is committed for the group: franz-go commits in transactions what it has consumed, and nothing else.
const consumed = 42

func transact(bootstrap, topic, group string) error {
	ctx := context.Background()
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.TransactionalID("franz-go"),
	}
	first, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer first.Close()
	if err := inTransaction(ctx, first, "committed-1", kgo.TryCommit); err != nil {
		return err
	}
	if err := inTransaction(ctx, first, "aborted", kgo.TryAbort); err != nil {
		return err
	}
	session, err := copyInSession(ctx, bootstrap, topic+"-source", group, options)
	if err != nil {
		return err
	}
	defer session.Close()
	err = inTransaction(ctx, first, "fenced", kgo.TryCommit)
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		fmt.Println("fenced")
	}
	if err := inTransaction(ctx, session.Client(), "committed-3", kgo.TryCommit); err != nil {
		return err
	}
	if err := sayOffset(ctx, session.Client(), topic+"-source", group); err != nil {
		return err
	}
	return readCommitted(ctx, bootstrap, topic, "committed-3")
}

func inTransaction(ctx context.Context, client *kgo.Client, value string, how kgo.TransactionEndTry) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	if err := client.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, how)
}

// Takes the transactional id over, and commits one record together with the offset of what it has consumed.
func copyInSession(ctx context.Context, bootstrap, source, group string, options []kgo.Opt) (*kgo.GroupTransactSession, error) {
	writer, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic(source), kgo.AllowAutoTopicCreation())
	if err != nil {
		return nil, err
	}
	defer writer.Close()
	for range consumed {
		writer.Produce(ctx, kgo.StringRecord("source"), nil)
	}
	if err := writer.Flush(ctx); err != nil {
		return nil, err
	}
	session, err := kgo.NewGroupTransactSession(append(options,
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RequireStableFetchOffsets(),
	)...)
	if err != nil {
		return nil, err
	}
	if err := session.Begin(); err != nil {
		return nil, err
	}
	for seen := 0; seen < consumed; {
		fetches := session.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		seen += fetches.NumRecords()
	}
	if err := session.ProduceSync(ctx, kgo.StringRecord("committed-2")).FirstErr(); err != nil {
		return nil, err
	}
	committed, err := session.End(ctx, kgo.TryCommit)
	if err == nil && !committed {
		err = errors.New("aborted what was to be committed")
	}
	return session, err
}

func sayOffset(ctx context.Context, client *kgo.Client, topic, group string) error {
	ofTopic := kmsg.NewOffsetFetchRequestTopic()
	ofTopic.Topic, ofTopic.Partitions = topic, []int32{0}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group, request.Topics = group, []kmsg.OffsetFetchRequestTopic{ofTopic}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(response.Topics) == 0 {
		return fmt.Errorf("nothing is committed: %v", response)
	}
	fmt.Println("offset", response.Topics[0].Partitions[0].Offset)
	return nil
}

func readCommitted(ctx context.Context, bootstrap, topic, last string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for done := false; !done; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			fmt.Println("read", string(r.Value))
			done = done || string(r.Value) == last
		})
	}
	return nil
}
