//! The library: loading, calling and measuring policies.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use policy_host::{AdmissionRequest, CallError, Level, LoadError, Policy};
use serde_json::{Value, json};
use support::{Behavior, accept, annotated, policy, policy_with};

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
fn an_accepted_request_gets_kwctls_response() {
    let review = load(&Behavior::Answer(accept())).review(&request(None), &json!({}));
    assert!(review.failure.is_none());
    assert_eq!(
        serde_json::to_string(&review.response).unwrap(),
        r#"{"uid":"u-1","allowed":true,"auditAnnotations":null,"warnings":null}"#
    );
}

#[test]
fn a_rejection_carries_message_and_code() {
    let answer = json!({
        "accepted": false, "message": "no", "code": 422,
        "warnings": ["w"], "audit_annotations": { "k": "v" },
    });
    let review = load(&Behavior::Answer(answer)).review(&request(None), &json!({}));
    assert_eq!(
        serde_json::to_string(&review.response).unwrap(),
        r#"{"uid":"u-1","allowed":false,"status":{"message":"no","code":422},"auditAnnotations":{"k":"v"},"warnings":["w"]}"#
    );
}

#[test]
fn a_mutated_object_becomes_a_patch_that_leads_to_it() {
    let before = json!({ "metadata": { "name": "a" }, "spec": { "containers": [{ "name": "c" }] } });
    let mut after = before.clone();
    after["spec"]["containers"] = json!([{ "name": "d" }, { "name": "c", "env": [1] }]);
    let answer = json!({ "accepted": true, "mutated_object": after });
    let policy = load(&Behavior::Answer(answer));

    let response = policy.review(&request(Some(&before)), &json!({})).response;
    assert!(response.patch_type.is_some());
    assert_eq!(response.patched(&before).unwrap(), after);

    let same = policy.review(&request(Some(&after)), &json!({})).response;
    assert_eq!((same.allowed, same.patch, same.patch_type), (true, None, None));

    let deletion = policy.review(&request(None), &json!({})).response;
    assert!(!deletion.allowed);
    assert!(deletion.message().unwrap().contains("Incoming object is null"));
}

#[test]
fn a_trap_is_reported_with_its_reason() {
    let policy = load(&Behavior::Trap);
    let error = policy.call("validate", b"{}").unwrap_err();
    assert!(matches!(&error, CallError::Trap { reason, .. } if reason.contains("unreachable")), "{error}");
    let review = policy.review(&request(None), &json!({}));
    assert_eq!(review.response.status.as_ref().unwrap().code, Some(500));
    assert!(
        review
            .response
            .message()
            .unwrap()
            .starts_with("internal server error: Guest call failure: wasm trap")
    );
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
fn an_endless_loop_is_interrupted_and_the_policy_still_works() {
    let policy = load(&Behavior::Loop);
    let began = Instant::now();
    let error = policy.call("validate", b"{}").unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(
        policy.review(&request(None), &json!({})).response.message(),
        Some("Policy execution interrupted because it exceeded the allowed execution time")
    );
    assert!(policy.validate_settings(&json!({})).unwrap().valid);
}

#[test]
fn a_guests_error_is_reported_verbatim() {
    let error = load(&Behavior::Error("out of cheese")).call("validate", b"").unwrap_err();
    assert!(matches!(&error, CallError::Guest { message, .. } if message == "out of cheese"));
    assert_eq!(error.as_reported(), "Guest call failure: out of cheese");
}

#[test]
fn an_answer_of_another_format_is_an_error() {
    let policy = load(&Behavior::Bytes(b"[]".to_vec()));
    let error = policy.validate(&request(None), &json!({})).unwrap_err();
    assert!(matches!(error, CallError::Answer { .. }), "{error}");
    let response = policy.review(&request(None), &json!({})).response;
    assert!(response.message().unwrap().starts_with("internal server error: invalid response"));
}

#[test]
fn log_lines_are_collected() {
    let line = json!({ "level": "info", "message": "hello", "pod": "web" });
    let (policy, logs) = load(&Behavior::HostCall(["kubewarden", "tracing", "log"], line)).with_logs();
    policy.call("validate", b"").unwrap();
    let lines = logs.take();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].level, lines[0].message.as_deref()), (Level::Info, Some("hello")));
    assert_eq!(lines[0].fields["pod"], "web");
    assert!(logs.take().is_empty());
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
fn settings_are_validated_and_the_protocol_version_is_read() {
    let answer = json!({ "valid": false, "message": "a\nb" });
    let wasm = policy_with(&Behavior::Trap, &Behavior::Answer(answer));
    let policy = load_bytes(&wasm).unwrap();
    let answer = policy.validate_settings(&json!({ "x": 1 })).unwrap();
    assert_eq!((answer.valid, answer.message.as_deref()), (false, Some("a\nb")));
    assert_eq!(policy.protocol_version().unwrap(), "v1");
}

#[test]
fn a_policy_is_called_from_many_threads() {
    let policy = load(&Behavior::Answer(accept()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert!(policy.validate(&request(None), &json!({})).unwrap().accepted);
                }
            });
        }
    });
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
fn the_metadata_of_an_annotated_policy_is_read() {
    let wasm = policy(&Behavior::Answer(accept()));
    let metadata = json!({ "rules": [], "mutating": true, "executionMode": "kubewarden-wapc" });
    let policy = load_bytes(&annotated(wasm.clone(), &metadata)).unwrap();
    assert!(policy.metadata().unwrap().mutating);
    let rego = annotated(wasm, &json!({ "rules": [], "mutating": false, "executionMode": "opa" }));
    assert!(matches!(load_bytes(&rego).err().unwrap(), LoadError::ExecutionMode(mode) if mode == "opa"));
}
