//! The command, with modules that fail on purpose.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

const ACCEPT: &str = r#"{"accepted":true,"audit_annotations":{"connect-inject-reason":"opted-out: No."}}"#;

/// A module with this many pages of memory that runs some code first, accepts all settings, and
/// answers each request with this text.
fn module(answer: &str, pages: u32, first: &str) -> Vec<u8> {
    let data = |text: &str| text.replace('"', "\\\"");
    let valid = r#"{"valid":true}"#;
    wat::parse_str(format!(
        r#"(module
          (import "wapc" "__guest_response" (func $respond (param i32 i32)))
          (import "wapc" "__host_call" (func $host_call
            (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
          (memory (export "memory") {pages})
          (data (i32.const 0) "{}")
          (data (i32.const 1000) "{}")
          (func (export "__guest_call") (param $operation i32) (param i32) (result i32)
            {first}
            (if (i32.eq (local.get $operation) (i32.const {}))
              (then (call $respond (i32.const 0) (i32.const {})))
              (else (call $respond (i32.const 1000) (i32.const {}))))
            (i32.const 1)))"#,
        data(answer),
        data(valid),
        "validate".len(),
        answer.len(),
        valid.len(),
    ))
    .unwrap()
}

/// The command with this module in this folder.
fn command(folder: &Path, module: &[u8], arguments: &[&str]) -> Command {
    let policy = folder.join("policy.wasm");
    fs::write(&policy, module).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_soak"));
    command.arg(policy).arg("--folder").arg(folder.join("soak")).args(arguments);
    command
}

fn soak(folder: &Path, module: &[u8], arguments: &[&str]) -> Output {
    command(folder, module, arguments).output().unwrap()
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_failure_is_reported_with_its_input_and_how_to_reproduce_it() {
    let silent = r#"{"accepted":false,"code":422,"message":"","audit_annotations":{"connect-inject-reason":"rejected: No."}}"#;
    // The capability's name is at the beginning of the memory.
    let host_call = "(drop (call $host_call (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)
        (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)))";
    for (module, told) in [
        (module(ACCEPT, 1, "unreachable"), "unreachable"),
        (module(ACCEPT, 1, "(loop (br 0))"), "took longer than"),
        (module(ACCEPT, 1025, ""), "bytes of memory"),
        (module(silent, 1, ""), "says nothing"),
        (module(ACCEPT, 1, host_call), "more than a log line was asked of the host"),
        (module("no JSON", 1, ""), "no JSON"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = soak(folder.path(), &module, &["--count", "40", "--seed", "3"]);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let failure = text.lines().find(|line| line.starts_with("FAILED: input ")).expect(&text);
        assert!(failure.contains("of seed 3: ") && failure.contains(told), "{told}: {failure}");
        let (_, index) = text.trim_end().rsplit_once("make soak SEED=3 INPUT=").expect(&text);
        let kept = fs::read(folder.path().join(format!("soak/seed-3-input-{index}"))).unwrap();

        let again = soak(folder.path(), &module, &["--seed", "3", "--input", index]);
        assert_eq!(again.status.code(), Some(1));
        assert!(shown(&again).contains(&format!("with {} bytes", kept.len())), "{}", shown(&again));
    }
}

#[test]
fn all_that_is_well_is_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let output = soak(folder.path(), &module(ACCEPT, 1, ""), &["--count", "1200", "--seed", "3"]);
    let text = shown(&output);
    assert!(output.status.success() && text.starts_with("1,200 inputs of seed 3\n"), "{text}");
    assert!(text.contains("0 rejected, 0 injected, 1,200 accepted as they are; at most 1 MiB"), "{text}");
}

#[test]
fn an_interrupted_run_is_resumed_only_with_the_same_module() {
    let folder = tempfile::tempdir().unwrap();
    let module_of_run = module(ACCEPT, 1, "");
    let count = ["--count", "100000000"];
    // Runs until it has saved some progress, and is then killed.
    let interrupted = |module: &[u8], arguments: &[&str]| {
        let state = folder.path().join("soak/state.json");
        let before = fs::read(&state).unwrap_or_default();
        let mut command = command(folder.path(), module, arguments);
        let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
        let kept = || fs::read(&state).unwrap_or_default();
        while kept() == before || kept().windows(9).any(|text| text == b"\"done\":0,") {
            thread::sleep(Duration::from_millis(50));
        }
        run.kill().unwrap();
        let output = run.wait_with_output().unwrap();
        shown(&output).lines().next().unwrap().to_owned()
    };
    let first = interrupted(&module_of_run, &count);
    assert!(first.starts_with("100,000,000 inputs of seed ") && !first.contains("before"), "{first}");
    let second = interrupted(&module_of_run, &count);
    assert!(
        second.starts_with(&format!("{first}, ")) && second.ends_with(" of them done before"),
        "{second}"
    );
    let other_seed = interrupted(&module_of_run, &[&count[..], &["--seed", "5"]].concat());
    assert_eq!(other_seed, "100,000,000 inputs of seed 5");
    let other_module = interrupted(&module(ACCEPT, 2, ""), &count);
    assert!(!other_module.contains("before"), "{other_module}");
}
