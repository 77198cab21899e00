//! The sticky assignor: tasks stay where they are as far as the load stays even, else go to who has
//! a copy, else to who has least to do. A process has no task twice, in whatever role.
//!
//! Kafka 4.3's has neither warm-ups nor racks, and weighs all tasks alike.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::tasks::{TaskSet, Tasks, pairs};

/// A member as the assignor sees it.
#[derive(Clone, Debug, Default)]
pub struct MemberSpec {
    pub process_id: String,
    /// Its part of the last target.
    pub active: TaskSet,
    pub standby: TaskSet,
}

#[derive(Clone, Copy, Debug)]
pub struct SubtopologySpec {
    pub tasks: i32,
    /// Only what has stores is copied.
    pub is_stateful: bool,
}

/// The position of a subtopology in the order of their names, and the partition.
type Task = (usize, i32);

/// Assigns every task to one member and to `standby_replicas` others, if there are as many
/// processes.
pub fn assign(
    members: &BTreeMap<String, MemberSpec>,
    subtopologies: &BTreeMap<String, SubtopologySpec>,
    standby_replicas: usize,
) -> BTreeMap<String, Tasks> {
    let mut assignment = Assignment::new(members, subtopologies, standby_replicas);
    if !assignment.members.is_empty() {
        assignment.assign_active();
        assignment.assign_standby();
    }
    let names: Vec<&String> = subtopologies.keys().collect();
    let assigned = assignment.members.into_iter().map(|member| {
        let tasks = Tasks {
            active: named(&member.active, &names),
            standby: named(&member.standby, &names),
            warmup: TaskSet::new(),
        };
        (member.id.clone(), tasks)
    });
    assigned.collect()
}

fn named(tasks: &[Task], names: &[&String]) -> TaskSet {
    let mut set = TaskSet::new();
    for (subtopology, partition) in tasks {
        if let Some(name) = names.get(*subtopology) {
            let partitions = set.entry((*name).clone()).or_default();
            partitions.insert(*partition);
        }
    }
    set
}

/// How many tasks there are for how many members: compared without dividing.
#[derive(Clone, Copy, Debug)]
struct Load {
    tasks: usize,
    members: usize,
}

impl Ord for Load {
    fn cmp(&self, other: &Load) -> Ordering {
        (self.tasks * other.members).cmp(&(other.tasks * self.members))
    }
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Load) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Load) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Load {}

struct Member<'a> {
    id: &'a String,
    process: usize,
    active: Vec<Task>,
    standby: Vec<Task>,
}

impl Member<'_> {
    fn count(&self) -> usize {
        self.active.len() + self.standby.len()
    }
}

#[derive(Default)]
struct Process {
    /// By number of tasks, then in the order of their ids.
    members: BTreeSet<(usize, usize)>,
    tasks: BTreeSet<Task>,
}

impl Process {
    fn load(&self) -> Load {
        Load {
            tasks: self.tasks.len(),
            members: self.members.len(),
        }
    }
}

/// Members take tasks until they have their share; who has it leaves the rest to the others.
struct Quota {
    tasks: usize,
    members: usize,
}

impl Quota {
    fn share(&self) -> usize {
        match self.members {
            0 => 0,
            members => self.tasks.div_ceil(members),
        }
    }

    fn note(&mut self, count: usize) {
        if count == self.share() {
            self.members = self.members.saturating_sub(1);
            self.tasks = self.tasks.saturating_sub(count);
        }
    }
}

struct Assignment<'a> {
    members: Vec<Member<'a>>,
    processes: Vec<Process>,
    subtopologies: Vec<SubtopologySpec>,
    was_active: BTreeMap<Task, usize>,
    was_standby: BTreeMap<Task, Vec<usize>>,
    active_quota: Quota,
    total_quota: Quota,
    standby_replicas: usize,
}

impl<'a> Assignment<'a> {
    fn new(
        specs: &'a BTreeMap<String, MemberSpec>,
        subtopologies: &BTreeMap<String, SubtopologySpec>,
        standby_replicas: usize,
    ) -> Assignment<'a> {
        let index: BTreeMap<&str, usize> =
            subtopologies.keys().map(String::as_str).zip(0..).collect();
        let mut process_index: BTreeMap<&str, usize> = BTreeMap::new();
        let mut processes: Vec<Process> = Vec::new();
        let (mut was_active, mut was_standby) = (BTreeMap::new(), BTreeMap::new());
        let mut members = Vec::with_capacity(specs.len());
        for (at, (id, spec)) in specs.iter().enumerate() {
            let process = *process_index
                .entry(&spec.process_id)
                .or_insert(processes.len());
            if process == processes.len() {
                processes.push(Process::default());
            }
            processes[process].members.insert((0, at));
            let known = |(name, partition)| Some((*index.get(name)?, partition));
            for task in pairs(&spec.active).filter_map(known) {
                was_active.insert(task, at);
            }
            for task in pairs(&spec.standby).filter_map(known) {
                was_standby.entry(task).or_insert_with(Vec::new).push(at);
            }
            members.push(Member {
                id,
                process,
                active: Vec::new(),
                standby: Vec::new(),
            });
        }
        let subtopologies: Vec<SubtopologySpec> = subtopologies.values().copied().collect();
        let count = |spec: &SubtopologySpec| usize::try_from(spec.tasks).unwrap_or(0);
        let active: usize = subtopologies.iter().map(count).sum();
        let stateful = subtopologies.iter().filter(|spec| spec.is_stateful);
        let standby = stateful.map(count).sum::<usize>() * standby_replicas;
        let quota = |tasks| Quota {
            tasks,
            members: members.len(),
        };
        Assignment {
            active_quota: quota(active),
            total_quota: quota(active + standby),
            members,
            processes,
            subtopologies,
            was_active,
            was_standby,
            standby_replicas,
        }
    }

    fn tasks(&self, only_stateful: bool) -> Vec<Task> {
        let subtopologies = self.subtopologies.iter().enumerate();
        let wanted = subtopologies.filter(|(_, spec)| spec.is_stateful || !only_stateful);
        let tasks = wanted.flat_map(|(at, spec)| (0..spec.tasks).map(move |task| (at, task)));
        tasks.collect()
    }

    fn give(&mut self, at: usize, task: Task, is_active: bool) {
        let member = &mut self.members[at];
        let before = member.count();
        let tasks = if is_active {
            &mut member.active
        } else {
            &mut member.standby
        };
        tasks.push(task);
        let process = &mut self.processes[member.process];
        process.members.remove(&(before, at));
        process.members.insert((before + 1, at));
        process.tasks.insert(task);
        if is_active {
            self.active_quota.note(before + 1);
        }
        self.total_quota.note(before + 1);
    }

    fn may_be_active(&self, at: usize) -> bool {
        self.members[at].count() < self.active_quota.share()
    }

    fn may_be_standby(&self, at: usize, task: Task) -> bool {
        !self.has(at, task) && self.members[at].count() < self.total_quota.share()
    }

    /// Whether the member's process has the task.
    fn has(&self, at: usize, task: Task) -> bool {
        let process = self.members[at].process;
        self.processes[process].tasks.contains(&task)
    }

    /// Of those that had a copy and do not have the task yet, the one with least to do.
    fn least_loaded_standby(&self, task: Task) -> Option<usize> {
        let members = self.was_standby.get(&task)?.iter().copied();
        let load = |at: &usize| {
            let member = &self.members[*at];
            (self.processes[member.process].load(), member.count())
        };
        members.filter(|at| !self.has(*at, task)).min_by_key(load)
    }

    fn assign_active(&mut self) {
        let mut tasks = self.tasks(false);
        // Partition by partition, so that what stays is of all subtopologies.
        tasks.sort_by_key(|(subtopology, partition)| (*partition, *subtopology));
        tasks.retain(|task| {
            let before = self.was_active.get(task).copied();
            let stays = before.filter(|at| self.may_be_active(*at));
            if let Some(at) = stays {
                self.give(at, *task, true);
            }
            stays.is_none()
        });
        tasks.retain(|task| {
            let copy = self.least_loaded_standby(*task);
            let promoted = copy.filter(|at| self.may_be_active(*at));
            if let Some(at) = promoted {
                self.give(at, *task, true);
            }
            promoted.is_none()
        });
        tasks.sort_unstable();
        let mut queue = self.by_load();
        for task in tasks {
            self.give_to_least_loaded(&mut queue, task, true);
        }
    }

    fn assign_standby(&mut self) {
        if self.standby_replicas == 0 {
            return;
        }
        let mut tasks = self.tasks(true);
        tasks.sort_by_key(|(subtopology, partition)| (*partition, *subtopology));
        tasks.reverse();
        let mut left: Vec<(Task, usize)> = Vec::new();
        for task in tasks {
            for given in 0..self.standby_replicas {
                let was_active = self.was_active.get(&task).copied();
                let was_active = was_active.filter(|at| self.may_be_standby(*at, task));
                let stays = || {
                    let copy = self.least_loaded_standby(task);
                    copy.filter(|at| self.may_be_standby(*at, task))
                };
                let Some(at) = was_active.or_else(stays) else {
                    left.push((task, self.standby_replicas - given));
                    break;
                };
                self.give(at, task, false);
            }
        }
        left.sort_unstable();
        let mut queue = self.by_load();
        for (task, replicas) in left.into_iter().rev() {
            for missing in (1..=replicas).rev() {
                if !self.give_to_least_loaded(&mut queue, task, false) {
                    tracing::warn!(
                        "{missing} of {} standby tasks of task {}_{} have no process to run in",
                        self.standby_replicas,
                        task.0,
                        task.1
                    );
                    break;
                }
            }
        }
    }

    fn by_load(&self) -> BTreeSet<(Load, usize)> {
        let processes = self.processes.iter().enumerate();
        processes
            .map(|(at, process)| (process.load(), at))
            .collect()
    }

    /// Whether there was a process without the task.
    fn give_to_least_loaded(
        &mut self,
        queue: &mut BTreeSet<(Load, usize)>,
        task: Task,
        is_active: bool,
    ) -> bool {
        let is_free = |(_, at): &&(Load, usize)| !self.processes[*at].tasks.contains(&task);
        let Some((load, at)) = queue.iter().find(is_free).copied() else {
            return false;
        };
        let Some((_, member)) = self.processes[at].members.first().copied() else {
            return false;
        };
        queue.remove(&(load, at));
        self.give(member, task, is_active);
        queue.insert((self.processes[at].load(), at));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Group {
        members: BTreeMap<String, MemberSpec>,
        subtopologies: BTreeMap<String, SubtopologySpec>,
        standby_replicas: usize,
    }

    impl Group {
        fn new(members: &[(&str, &str)], subtopologies: &[(&str, i32, bool)]) -> Group {
            let member = |(id, process): &(&str, &str)| {
                let spec = MemberSpec {
                    process_id: process.to_string(),
                    ..MemberSpec::default()
                };
                (id.to_string(), spec)
            };
            let subtopology = |(id, tasks, is_stateful): &(&str, i32, bool)| {
                let (tasks, is_stateful) = (*tasks, *is_stateful);
                (id.to_string(), SubtopologySpec { tasks, is_stateful })
            };
            Group {
                members: members.iter().map(member).collect(),
                subtopologies: subtopologies.iter().map(subtopology).collect(),
                standby_replicas: 0,
            }
        }

        fn join(&mut self, id: &str, process: &str) {
            let process_id = process.to_string();
            let spec = MemberSpec {
                process_id,
                ..MemberSpec::default()
            };
            self.members.insert(id.into(), spec);
        }

        /// Assigns, checks what must always be true, and keeps the result as the last target.
        fn assign(&mut self) -> BTreeMap<String, Tasks> {
            let assigned = assign(&self.members, &self.subtopologies, self.standby_replicas);
            let mut active = BTreeSet::new();
            let mut in_process = BTreeSet::new();
            let mut copies: BTreeMap<(&str, i32), usize> = BTreeMap::new();
            for (id, tasks) in &assigned {
                let process = &self.members[id].process_id;
                for task in pairs(&tasks.active) {
                    assert!(active.insert(task), "{task:?} runs twice");
                    assert!(in_process.insert((process, task)), "{task:?} in {process}");
                }
                for task in pairs(&tasks.standby) {
                    assert!(in_process.insert((process, task)), "{task:?} in {process}");
                    *copies.entry(task).or_default() += 1;
                    assert!(self.subtopologies[task.0].is_stateful, "{task:?}");
                }
            }
            let tasks = self.subtopologies.values().map(|spec| spec.tasks as usize);
            assert_eq!(active.len(), tasks.sum::<usize>(), "each task once");
            let processes: BTreeSet<&String> =
                self.members.values().map(|m| &m.process_id).collect();
            let replicas = self.standby_replicas.min(processes.len() - 1);
            for (name, spec) in self.subtopologies.iter().filter(|(_, s)| s.is_stateful) {
                for partition in 0..spec.tasks {
                    let copies = copies.get(&(name.as_str(), partition)).copied();
                    assert_eq!(copies.unwrap_or(0), replicas, "{name}_{partition}");
                }
            }
            for (id, tasks) in &assigned {
                let member = self.members.get_mut(id).expect("a member");
                (member.active, member.standby) = (tasks.active.clone(), tasks.standby.clone());
            }
            assigned
        }
    }

    fn count(tasks: &TaskSet) -> usize {
        pairs(tasks).count()
    }

    fn active_counts(assigned: &BTreeMap<String, Tasks>) -> Vec<usize> {
        assigned
            .values()
            .map(|tasks| count(&tasks.active))
            .collect()
    }

    #[test]
    fn tasks_are_spread_over_processes_then_over_members() {
        let mut group = Group::new(
            &[("a", "1"), ("b", "1"), ("c", "2"), ("d", "2")],
            &[("0", 6, false), ("1", 2, false)],
        );
        assert_eq!(active_counts(&group.assign()), [2, 2, 2, 2]);
        // A process with more members gets more.
        let mut group = Group::new(&[("a", "1"), ("b", "1"), ("c", "2")], &[("0", 6, false)]);
        assert_eq!(active_counts(&group.assign()), [2, 2, 2]);
    }

    #[test]
    fn nothing_moves_without_need() {
        let mut group = Group::new(&[("a", "1"), ("b", "2"), ("c", "3")], &[("0", 7, true)]);
        group.standby_replicas = 1;
        let first = group.assign();
        assert_eq!(group.assign(), first);
    }

    #[test]
    fn who_joins_gets_a_share_and_the_rest_stays() {
        let mut group = Group::new(
            &[("a", "1"), ("b", "2")],
            &[("0", 4, false), ("1", 4, false)],
        );
        let before = group.assign();
        group.join("c", "3");
        let after = group.assign();
        assert_eq!(active_counts(&after), [3, 3, 2]);
        for id in ["a", "b"] {
            let kept = pairs(&after[id].active);
            let had: BTreeSet<_> = pairs(&before[id].active).collect();
            assert!(kept.into_iter().all(|task| had.contains(&task)), "{id}");
        }
    }

    #[test]
    fn who_has_a_copy_takes_over() {
        let mut group = Group::new(&[("a", "1"), ("b", "2"), ("c", "3")], &[("0", 6, true)]);
        group.standby_replicas = 1;
        let before = group.assign();
        let gone = group.members.remove("c").expect("a member");
        let after = group.assign();
        let mut promoted = 0;
        for id in ["a", "b"] {
            let (had, has) = (&before[id], &after[id]);
            assert!(pairs(&had.active).all(|task| pairs(&has.active).any(|t| t == task)));
            let new = pairs(&gone.active).filter(|task| pairs(&has.active).any(|t| t == *task));
            promoted += new
                .filter(|task| pairs(&had.standby).any(|copy| copy == *task))
                .count();
        }
        // Both copies may be with one member, which has room for one task.
        assert!(promoted >= 1, "{before:?} {after:?}");
    }

    #[test]
    fn there_are_no_more_copies_than_other_processes() {
        let mut group = Group::new(
            &[("a", "1"), ("b", "1")],
            &[("0", 3, true), ("1", 3, false)],
        );
        group.standby_replicas = 2;
        let assigned = group.assign();
        assert!(assigned.values().all(|tasks| tasks.standby.is_empty()));
        group.join("c", "2");
        let assigned = group.assign();
        let copies: usize = assigned.values().map(|tasks| count(&tasks.standby)).sum();
        assert_eq!(copies, 3);
    }

    #[test]
    fn a_group_without_members_or_tasks_is_assigned_nothing() {
        assert!(assign(&BTreeMap::new(), &BTreeMap::new(), 1).is_empty());
        let group = Group::new(&[("a", "1")], &[]);
        let assigned = assign(&group.members, &group.subtopologies, 1);
        assert!(assigned["a"].is_empty());
    }

    #[test]
    fn whatever_comes_and_goes_each_task_runs_once() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..60 {
            let mut group = Group::new(
                &[("m0", "p0")],
                &[
                    ("0", random.i32(1..9), true),
                    ("1", random.i32(0..9), false),
                ],
            );
            group.standby_replicas = random.usize(0..3);
            for step in 1..20 {
                match random.bool() && group.members.len() > 1 {
                    true => {
                        let at = random.usize(..group.members.len());
                        let id = group.members.keys().nth(at).cloned().expect("a member");
                        group.members.remove(&id);
                    }
                    false => group.join(&format!("m{step}"), &format!("p{}", random.u8(..4))),
                }
                let assigned = group.assign();
                let tasks = group.subtopologies.values().map(|spec| spec.tasks as usize);
                let most = active_counts(&assigned).into_iter().max().unwrap_or(0);
                let share = tasks.sum::<usize>().div_ceil(group.members.len());
                assert!(most <= share.max(1) + share, "{assigned:?}");
            }
        }
    }
}
