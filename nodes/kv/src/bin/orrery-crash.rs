//! Ends processes as a crash would: SIGKILL, no chance to flush or to say good-bye.
//!
//! Kubernetes cannot do that: however short the grace period, the kubelet sends SIGTERM first, on which a good member
//! hands over its leadership. This program is run inside the pod it is meant for (`kubectl exec`); the pod has to share
//! its PID namespace, since the kernel protects the first process of a namespace from signals sent inside it.
//!
//! `orrery-crash <name>` kills every process whose command name is `<name>`. Exit codes: 0 at least one was killed,
//! 1 there was none, 3 wrong use or a process that may not be killed.

use std::process::ExitCode;

use orrery_kv::processes;
use rustix::process::Signal;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: orrery-crash <command name>");
        return ExitCode::from(3);
    };
    match crash(&name) {
        Ok(0) => {
            eprintln!("orrery-crash: there is no process {name}");
            ExitCode::FAILURE
        }
        Ok(killed) => {
            println!("killed {killed} of {name}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("orrery-crash: {error}");
            ExitCode::from(3)
        }
    }
}

fn crash(name: &str) -> Result<usize, String> {
    let victims = processes::named(name).map_err(|error| format!("/proc cannot be read: {error}"))?;
    processes::signal(&victims, Signal::KILL)?;
    Ok(victims.len())
}
