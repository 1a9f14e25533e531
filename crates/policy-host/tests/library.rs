//! The library: loading, calling and measuring policies.

mod support;

use std::time::Duration;

use policy_host::{AdmissionRequest, CallError, LoadError, Policy};
use serde_json::{Value, json};
use support::{Behavior, accept, annotated, policy};

fn load(behavior: &Behavior) -> Policy {
    load_bytes(&policy(behavior)).unwrap()
}

fn load_bytes(wasm: &[u8]) -> Result<Policy, LoadError> {
    Policy::builder().timeout(Some(Duration::from_millis(300))).bytes(wasm)
}

fn request(object: Option<&Value>) -> AdmissionRequest {
    AdmissionRequest::from_review(json!({
        "uid": "u-1",
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" },
        "operation": "CREATE",
        "userInfo": { "username": "someone" },
        "object": object,
    }))
    .unwrap()
}

#[test]
fn an_object_returned_unchanged_is_no_patch_and_one_of_a_deletion_is_refused() {
    let after = json!({ "metadata": { "name": "a" } });
    let policy = load(&Behavior::Answer(json!({ "accepted": true, "mutated_object": after })));

    let same = policy.review(&request(Some(&after)), &json!({})).response;
    assert_eq!((same.allowed, same.patch, same.patch_type), (true, None, None));

    let deletion = policy.review(&request(None), &json!({})).response;
    assert!(!deletion.allowed);
    assert!(deletion.message().unwrap().contains("Incoming object is null"));
}

#[test]
fn a_panics_message_is_reported_and_wasi_offers_nothing_else() {
    let wasm = wat::parse_str(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "clock_time_get"
            (func $clock (param i32 i64 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\10\00\00\00\02\00\00\00\12\00\00\00\03\00\00\00panic")
          (func (export "__guest_call") (param i32 i32) (result i32)
            (if (i32.ne (call $clock (i32.const 0) (i64.const 0) (i32.const 32)) (i32.const 52))
              (then (return (i32.const 0))))
            (if (call $write (i32.const 7) (i32.const 0) (i32.const 2) (i32.const 32)) (then)
              (else (return (i32.const 0))))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 2) (i32.const 32)))
            (if (i32.ne (i32.load (i32.const 32)) (i32.const 5)) (then (return (i32.const 0))))
            unreachable))"#,
    );
    let error = load_bytes(&wasm.unwrap()).unwrap().call("validate", b"").unwrap_err();
    let CallError::Trap { stderr, .. } = &error else { panic!("{error}") };
    assert_eq!(stderr, "panic");
    assert!(error.to_string().ends_with("the guest said: panic"), "{error}");
}

#[test]
fn other_host_capabilities_are_refused() {
    let policy = load(&Behavior::HostCall(["kubewarden", "net", "v1/dns_lookup_host"], json!("x")));
    let CallError::Guest { message, .. } = policy.call("validate", b"").unwrap_err() else {
        unreachable!("the guest returns the refusal as an error")
    };
    assert!(message.contains("kubewarden/net/v1/dns_lookup_host is not supported"), "{message}");
}

#[test]
fn a_call_is_measured_and_the_same_call_takes_the_same_fuel() {
    let policy = load(&Behavior::Answer(accept()));
    let first = policy.observe("validate", b"{}").unwrap();
    let second = policy.observe("validate", b"{}").unwrap();
    assert_eq!(first.response, accept().to_string().into_bytes());
    assert!(first.fuel > 0);
    assert_eq!(first.fuel, second.fuel);
    assert_eq!(first.peak_memory, 64 * 65536);
}

#[test]
fn a_file_that_is_not_a_policy_is_refused_with_its_kind() {
    let refusal = |bytes: &[u8]| load_bytes(bytes).err().unwrap();
    assert!(matches!(refusal(b""), LoadError::NotWasm(_)));
    assert!(matches!(refusal(b"(module)"), LoadError::NotWasm(_)));
    assert!(matches!(refusal(b"\0asm\x01\0\0\0\xff"), LoadError::NotWasm(_)));
    assert!(matches!(refusal(b"\0asm\x01\0\0\0"), LoadError::NotPolicy(_)));
    let foreign = wat::parse_str(
        r#"(module (import "env" "x" (func))
             (func (export "__guest_call") (param i32 i32) (result i32) unreachable))"#,
    );
    assert!(matches!(refusal(&foreign.unwrap()), LoadError::NotPolicy(message) if message.contains("env")));
}

#[test]
fn a_policy_for_another_runtime_is_refused() {
    let wasm = policy(&Behavior::Answer(accept()));
    let rego = annotated(wasm, &json!({ "rules": [], "mutating": false, "executionMode": "opa" }));
    assert!(matches!(load_bytes(&rego).err().unwrap(), LoadError::ExecutionMode(mode) if mode == "opa"));
}
