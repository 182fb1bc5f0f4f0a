//! Ends processes as a crash would: SIGKILL, no chance to flush or to say good-bye.
//!
//! Kubernetes cannot do that: however short the grace period, the kubelet sends SIGTERM first, on which a good member
//! hands over its leadership. This program is run inside the pod it is meant for (`kubectl exec`); the pod has to share
//! its PID namespace, since the kernel protects the first process of a namespace from signals sent inside it.
//!
//! `orrery-crash <name>` kills every process whose command name is `<name>`. Exit codes: 0 at least one was killed,
//! 1 there was none, 3 wrong use or a process that may not be killed.

use std::fs;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// The kernel keeps this many bytes of a command name.
const NAME_BYTES: usize = 15;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: orrery-crash <command name>");
        return ExitCode::from(3);
    };
    let name = name.get(..NAME_BYTES).unwrap_or(&name);
    let victims = match processes_named(name) {
        Ok(victims) => victims,
        Err(error) => {
            eprintln!("orrery-crash: /proc cannot be read: {error}");
            return ExitCode::from(3);
        }
    };
    for &victim in &victims {
        if let Err(error) = kill_process(victim, Signal::KILL) {
            eprintln!(
                "orrery-crash: process {} cannot be killed: {error}",
                victim.as_raw_nonzero()
            );
            return ExitCode::from(3);
        }
    }
    if victims.is_empty() {
        eprintln!("orrery-crash: there is no process {name}");
        return ExitCode::FAILURE;
    }
    println!("killed {} of {name}", victims.len());
    ExitCode::SUCCESS
}

fn processes_named(name: &str) -> std::io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|text| text.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at; then there is nothing left to kill.
        let Ok(command) = fs::read_to_string(entry.path().join("comm")) else {
            continue;
        };
        if let Some(pid) = Pid::from_raw(pid)
            && command.trim_end() == name
            && pid != getpid()
        {
            found.push(pid);
        }
    }
    Ok(found)
}
