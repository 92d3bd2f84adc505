//! The processes under test: started, hit, started again, and never left behind.

use crate::options::Options;
use highwater_verifier::Result;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// So many exits that nobody asked for end the soak.
const OWN_EXITS: usize = 20;

pub struct Fleet {
    program: PathBuf,
    directory: PathBuf,
    members: Vec<Member>,
    /// What they said when they ended without being asked.
    pub own_exits: Vec<String>,
}

struct Member {
    arguments: Vec<String>,
    child: Child,
    stopped_until: Option<Instant>,
}

impl Fleet {
    pub fn start(options: &Options, seed: u64, program: PathBuf, directory: &Path) -> Result<Self> {
        let (members, own_exits) = (Vec::new(), Vec::new());
        let mut fleet = Self { program, directory: directory.to_owned(), members, own_exits };
        for process in 0..options.processes {
            let mut arguments = options.arguments(seed, process);
            arguments.extend(["--state-dir".to_owned(), fleet.state(process).display().to_string()]);
            let child = fleet.spawn(process, &arguments)?;
            fleet.members.push(Member { arguments, child, stopped_until: None });
        }
        Ok(fleet)
    }

    fn state(&self, process: usize) -> PathBuf {
        self.directory.join(format!("state-{process}"))
    }

    fn log(&self, process: usize) -> PathBuf {
        self.directory.join(format!("process-{process}.log"))
    }

    fn spawn(&self, process: usize, arguments: &[String]) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.log(process))?;
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().map_err(|error| format!("{}: {error}", self.program.display()).into())
    }

    pub fn is_stopped(&self, process: usize) -> bool {
        self.members[process].stopped_until.is_some()
    }

    /// kill -9; it is started again by [`restart`](Self::restart).
    pub fn kill(&mut self, process: usize) -> Result<()> {
        self.members[process].stopped_until = None;
        self.members[process].child.kill()?;
        self.members[process].child.wait()?;
        Ok(())
    }

    pub fn lose_state(&self, process: usize) -> Result<()> {
        let state = self.state(process);
        if state.exists() { Ok(fs::remove_dir_all(state)?) } else { Ok(()) }
    }

    pub fn restart(&mut self, process: usize) -> Result<()> {
        let child = self.spawn(process, &self.members[process].arguments)?;
        self.members[process].child = child;
        Ok(())
    }

    pub fn stop_for(&mut self, process: usize, time: Duration) -> Result<()> {
        self.members[process].signal(Signal::STOP)?;
        self.members[process].stopped_until = Some(Instant::now() + time);
        Ok(())
    }

    /// Lets those go on whose time is over, and starts those again that ended by themselves.
    pub fn tend(&mut self) -> Result<()> {
        for process in 0..self.members.len() {
            let member = &mut self.members[process];
            if member.stopped_until.is_some_and(|until| until <= Instant::now()) {
                member.go_on()?;
            }
            if let Some(status) = member.child.try_wait()? {
                self.ended_by_itself(process, status)?;
                self.restart(process)?;
            }
        }
        Ok(())
    }

    pub fn all_go_on(&mut self) -> Result<()> {
        let stopped = self.members.iter_mut().filter(|member| member.stopped_until.is_some());
        stopped.into_iter().try_for_each(Member::go_on)
    }

    fn ended_by_itself(&mut self, process: usize, status: ExitStatus) -> Result<()> {
        let log = fs::read_to_string(self.log(process)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n    ");
        self.own_exits.push(format!("process {process} ended by itself, {status}:\n    {last}"));
        if self.own_exits.len() < OWN_EXITS {
            return Ok(());
        }
        Err(format!("{OWN_EXITS} processes ended by themselves; the last: {}", self.own_exits[OWN_EXITS - 1])
            .into())
    }

    /// SIGTERM, and after `limit` SIGKILL. What went wrong: it had to be killed, or its exit code is not 0.
    pub fn terminate(&mut self, process: usize, limit: Duration) -> Result<Option<String>> {
        let member = &mut self.members[process];
        member.signal(Signal::TERM)?;
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if let Some(status) = member.child.try_wait()? {
                let wrong = || format!("process {process} ended with {status} after SIGTERM");
                return Ok((!status.success()).then(wrong));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill(process)?;
        Ok(Some(format!("process {process} did not end within {limit:?} after SIGTERM")))
    }

    pub fn size(&self) -> usize {
        self.members.len()
    }
}

impl Member {
    fn signal(&self, signal: Signal) -> Result<()> {
        // Not waited for, so the number is still this child's.
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    fn go_on(&mut self) -> Result<()> {
        self.stopped_until = None;
        self.signal(Signal::CONT)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.members {
            _ = member.child.kill();
            _ = member.child.wait();
        }
    }
}
