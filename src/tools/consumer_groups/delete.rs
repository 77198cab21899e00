//! `consumer-groups --delete` and `--delete-offsets`.
use super::Command;
use crate::tools::cluster::exception;
use crate::tools::forget_offsets;

impl Command<'_> {
    pub(super) async fn delete(&mut self) -> anyhow::Result<()> {
        let groups = self.groups().await?;
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for (group, outcome) in self.admin.delete_groups(&groups).await? {
            match outcome {
                Ok(()) => deleted.push(format!("'{group}'")),
                Err(error) => failed.push((group, error)),
            }
        }
        let deleted = deleted.join(", ");
        if failed.is_empty() {
            let text = format!("Deletion of requested consumer groups ({deleted}) was successful.");
            return Ok(self.printer.line(text)?);
        }
        self.error("Deletion of some consumer groups failed:")?;
        for (group, error) in failed {
            self.printer.line(format!(
                "* Group '{group}' could not be deleted due to: {}: {error}",
                exception(&error)
            ))?;
        }
        if !deleted.is_empty() {
            self.printer.line(format!(
                "\nThese consumer groups were deleted successfully: {deleted}"
            ))?;
        }
        Ok(())
    }

    pub(super) async fn delete_offsets(&mut self) -> anyhow::Result<()> {
        let group = self.options.value("group")?.unwrap_or_default();
        let topics = self.options.values("topic");
        forget_offsets::of_topics(self.admin, &mut self.printer, group, topics).await
    }
}
