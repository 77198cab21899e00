//! `topics --delete`.
use super::Command;

impl Command<'_> {
    pub(super) async fn delete(&mut self) -> anyhow::Result<()> {
        let topics = self.matching_topics(false).await?;
        self.ensure_found(&topics)?;
        if topics.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        for (_, outcome) in self.admin.delete_topics(&names).await? {
            outcome?;
        }
        Ok(())
    }
}
