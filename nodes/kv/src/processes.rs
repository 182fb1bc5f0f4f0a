//! Processes of the pod by name, for the programs that crash or pause a member from inside.

use std::fs;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// The kernel keeps this many bytes of a command name.
const NAME_BYTES: usize = 15;

/// Every process whose command name is `name`, except this one.
///
/// # Errors
///
/// When /proc cannot be read.
pub fn named(name: &str) -> std::io::Result<Vec<Pid>> {
    let name = name.get(..NAME_BYTES).unwrap_or(name);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|text| text.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at; then it is none of them any more.
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

/// Sends a signal to each process.
///
/// # Errors
///
/// Names the first process that may not be signalled.
pub fn signal(processes: &[Pid], signal: Signal) -> Result<(), String> {
    for &process in processes {
        kill_process(process, signal)
            .map_err(|error| format!("process {} cannot be signalled: {error}", process.as_raw_nonzero()))?;
    }
    Ok(())
}
