package main

import (
	"context"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Copies from one topic to another exactly once, as a member of a group, until it is killed.
func chain(bootstrap, input, output, group, transactionalID string) error {
	for {
		session, err := kgo.NewGroupTransactSession(
			kgo.SeedBrokers(bootstrap),
			kgo.TransactionalID(transactionalID),
			kgo.DefaultProduceTopic(output),
			kgo.ConsumerGroup(group),
			kgo.ConsumeTopics(input),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.FetchMaxWait(100*time.Millisecond),
			kgo.RequireStableFetchOffsets(),
			kgo.HeartbeatInterval(200*time.Millisecond),
			kgo.SessionTimeout(2*time.Second),
		)
		if err != nil {
			return err
		}
		log.Println("starts anew after", copyRecords(session))
		session.Close()
	}
}

// What comes to nothing in End, the session itself reads again; an error means that the transactional id is lost.
func copyRecords(session *kgo.GroupTransactSession) error {
	ctx := context.Background()
	for {
		fetches := session.PollRecords(ctx, 50)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		sent := kgo.AbortingFirstErrPromise(session.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			session.Produce(ctx, kgo.KeySliceRecord(r.Key, append([]byte("seen "), r.Value...)), sent.Promise())
		})
		how := kgo.TransactionEndTry(sent.Err() == nil)
		if _, err := session.End(ctx, how); err != nil {
			return err
		}
	}
}
