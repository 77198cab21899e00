//! Where the consumer reads: seek, pause, resume.
use super::positions::Position;
use super::{AutoOffsetReset, Consumer};
use crate::client::TopicPartition;
use crate::client::errors::{ClientError, Result};

impl Consumer {
    /// Reads on at this offset.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        if offset < 0 {
            return Err(ClientError::illegal_state(
                "seek offset must not be a negative number",
            ));
        }
        self.assigned(partition)?.seek(Position {
            offset,
            leader_epoch: -1,
        });
        Ok(())
    }

    /// Reads on at the first record; it is looked up by the next poll.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.reset(partitions, AutoOffsetReset::Earliest)
    }

    /// Reads on after the last record; it is looked up by the next poll.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.reset(partitions, AutoOffsetReset::Latest)
    }

    fn reset(&mut self, partitions: &[TopicPartition], how: AutoOffsetReset) -> Result<()> {
        for partition in partitions {
            self.assigned(partition)?.ask_reset(how);
        }
        Ok(())
    }

    /// The offset of the next record that a poll will return; `None` before it was looked up.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        Some(self.positions.partitions.get(partition)?.position?.offset)
    }

    /// Polls return nothing of these partitions until they are resumed; what was fetched already
    /// waits.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, true)
    }

    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, false)
    }

    pub fn paused(&self) -> Vec<TopicPartition> {
        let paused = self
            .positions
            .partitions
            .iter()
            .filter(|(_, state)| state.paused);
        paused.map(|(name, _)| name.clone()).collect()
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) -> Result<()> {
        for partition in partitions {
            self.assigned(partition)?.paused = paused;
        }
        Ok(())
    }

    fn assigned(
        &mut self,
        partition: &TopicPartition,
    ) -> Result<&mut super::positions::PartitionState> {
        self.positions.get_mut(partition).ok_or_else(|| {
            ClientError::illegal_state(format!("No current assignment for partition {partition}"))
        })
    }
}
