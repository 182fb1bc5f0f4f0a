//! `orrery-pause` and `orrery-crash` on a process of their own name.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::eventually;

const PAUSE: &str = env!("CARGO_BIN_EXE_orrery-pause");
const CRASH: &str = env!("CARGO_BIN_EXE_orrery-crash");

/// A process that sleeps under a name nobody else has.
struct Sleeper {
    name: String,
    process: Child,
}

impl Sleeper {
    fn start(directory: &Path, mark: char) -> Self {
        let name = format!("slp{mark}{}", std::process::id());
        // A link and not a copy: a file just written may still be open in a child of a test beside this one, and a file
        // open for writing cannot be run (ETXTBSY). The kernel names the process after the link.
        let program = directory.join(&name);
        symlink("/bin/sleep", &program).unwrap();
        let process = Command::new(&program).arg0("sleep").arg("120").spawn().unwrap();
        let sleeper = Sleeper { name, process };
        eventually("the process has its name", || {
            sleeper.status("Name").filter(|name| *name == sleeper.name).map(drop)
        });
        sleeper
    }

    fn status(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:")))?;
        Some(line.trim().to_owned())
    }

    fn until_state(&self, letter: char) {
        eventually(&format!("state {letter}"), || {
            self.status("State").filter(|state| state.starts_with(letter)).map(drop)
        });
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn a_paused_process_is_stopped_and_goes_on_even_when_the_program_is_asked_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::start(directory.path(), 'p');
    let pause = Command::new(PAUSE)
        .args([&sleeper.name, "1500"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    sleeper.until_state('T');
    let asked = run("kill", &["-TERM", &pause.id().to_string()]);
    assert!(asked.status.success());
    let output = pause.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("paused 1 of {} for 1500 ms\n", sleeper.name));
    sleeper.until_state('S');
}

#[test]
fn a_crashed_process_is_ended_by_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let mut sleeper = Sleeper::start(directory.path(), 'c');
    assert_eq!(run(CRASH, &[&sleeper.name]).status.code(), Some(0));
    let end = sleeper.process.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(9));
}

#[test]
fn nobody_of_that_name_and_wrong_use_are_told_apart() {
    assert_eq!(run(PAUSE, &["no-such-name", "10"]).status.code(), Some(1));
    assert_eq!(run(CRASH, &["no-such-name"]).status.code(), Some(1));
    for arguments in [&["one"][..], &["one", "soon"], &["one", "1", "2"]] {
        assert_eq!(run(PAUSE, arguments).status.code(), Some(3));
    }
    assert_eq!(run(CRASH, &[]).status.code(), Some(3));
}
