//! Stops processes for a while, as a machine does that hangs: SIGSTOP, and SIGCONT when the time is over.
//!
//! Run like `orrery-crash` inside the pod it is meant for. It resumes what it stopped by itself, so that nothing stays
//! frozen when whoever asked for it goes away; SIGTERM and SIGHUP, which an end of the session may bring, do not end it.
//!
//! `orrery-pause <name> <ms>` stops every process whose command name is `<name>`. Exit codes: 0 at least one was stopped
//! and resumed, 1 there was none, 3 wrong use or a process that may not be signalled.

use std::process::ExitCode;
use std::time::Duration;

use orrery_kv::processes;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(Ok(ms)), None) = (
        arguments.next(),
        arguments.next().map(|text| text.parse::<u64>()),
        arguments.next(),
    ) else {
        eprintln!("usage: orrery-pause <command name> <milliseconds>");
        return ExitCode::from(3);
    };
    match pause(&name, Duration::from_millis(ms)).await {
        Ok(0) => {
            eprintln!("orrery-pause: there is no process {name}");
            ExitCode::FAILURE
        }
        Ok(paused) => {
            println!("paused {paused} of {name} for {ms} ms");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("orrery-pause: {error}");
            ExitCode::from(3)
        }
    }
}

async fn pause(name: &str, length: Duration) -> Result<usize, String> {
    // Handlers stay in place for the life of the process: whoever sends one of these does not end it.
    let kinds = [SignalKind::terminate(), SignalKind::hangup()];
    let handlers = kinds.map(signal).map(|handler| handler.map(drop));
    for handler in handlers {
        handler.map_err(|error| format!("signals cannot be held off: {error}"))?;
    }
    let victims = processes::named(name).map_err(|error| format!("/proc cannot be read: {error}"))?;
    let stopped = processes::signal(&victims, Signal::STOP);
    if stopped.is_ok() && !victims.is_empty() {
        tokio::time::sleep(length).await;
    }
    processes::signal(&victims, Signal::CONT)?; // also those stopped before one could not be
    stopped?;
    Ok(victims.len())
}
