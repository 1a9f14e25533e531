//! Small hand-written policies, each with one behavior.

#![allow(dead_code)] // Each test binary uses its own part.

pub mod host;
pub mod project;

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a policy does when `validate` is called.
pub enum Behavior {
    /// It answers with this.
    Answer(Value),
    /// It answers with these bytes.
    Bytes(Vec<u8>),
    /// It executes `unreachable`.
    Trap,
    /// It never returns.
    Loop,
    /// It returns an error.
    Error(&'static str),
    /// It calls a host capability, and then accepts or returns the host's error.
    HostCall([&'static str; 3], Value),
}

/// An answer that accepts the request.
pub fn accept() -> Value {
    json!({ "accepted": true })
}

/// A policy that accepts all settings.
pub fn policy(validate: &Behavior) -> Vec<u8> {
    policy_with(validate, &Behavior::Answer(json!({ "valid": true })))
}

/// A policy with two behaviors. The lengths of the operations' names distinguish them.
pub fn policy_with(validate: &Behavior, validate_settings: &Behavior) -> Vec<u8> {
    let mut data = Data::default();
    let mut body = String::new();
    for (length, behavior) in [(8, validate), (17, validate_settings)] {
        let code = data.code(behavior);
        writeln!(body, "(if (i32.eq (local.get $op) (i32.const {length})) (then {code}))").unwrap();
    }
    let other = data.code(&Behavior::Answer(json!("v1")));
    let segment = data.segment();
    wat::parse_str(format!(
        r#"(module
          (import "wapc" "__guest_request" (func $request (param i32 i32)))
          (import "wapc" "__guest_response" (func $respond (param i32 i32)))
          (import "wapc" "__guest_error" (func $error (param i32 i32)))
          (import "wapc" "__host_call" (func $call
            (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
          (import "wapc" "__host_error" (func $host_error (param i32)))
          (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
          (memory (export "memory") 64)
          (data (i32.const 1024) "{segment}")
          (func (export "__guest_call") (param $op i32) (param $msg i32) (result i32)
            {body} {other} unreachable))"#
    ))
    .unwrap()
}

/// Appends a custom section, as `kwctl annotate` does.
pub fn annotated(mut wasm: Vec<u8>, metadata: &Value) -> Vec<u8> {
    let name = "io.kubewarden.metadata";
    let content = metadata.to_string();
    let mut section = vec![u8::try_from(name.len()).unwrap()];
    section.extend(name.as_bytes());
    section.extend(content.as_bytes());
    wasm.push(0);
    let mut length = section.len();
    while length >= 0x80 {
        wasm.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    wasm.push(u8::try_from(length).unwrap());
    wasm.extend(section);
    wasm
}

#[derive(Default)]
struct Data(Vec<u8>);

impl Data {
    fn add(&mut self, bytes: &[u8]) -> String {
        let at = 1024 + self.0.len();
        self.0.extend(bytes);
        format!("(i32.const {at}) (i32.const {})", bytes.len())
    }

    fn code(&mut self, behavior: &Behavior) -> String {
        match behavior {
            Behavior::Answer(answer) => self.respond(answer.to_string().as_bytes()),
            Behavior::Bytes(bytes) => self.respond(bytes),
            Behavior::Trap => "(unreachable)".to_owned(),
            Behavior::Loop => "(loop $forever (br $forever)) (unreachable)".to_owned(),
            Behavior::Error(message) => {
                let message = self.add(message.as_bytes());
                format!("(call $error {message}) (return (i32.const 0))")
            }
            Behavior::HostCall(path, payload) => {
                let mut arguments = String::new();
                for part in path {
                    arguments.push_str(&self.add(part.as_bytes()));
                }
                let payload = self.add(payload.to_string().as_bytes());
                let accept = self.respond(accept().to_string().as_bytes());
                // The host's error is written above all data.
                format!(
                    "(if (call $call {arguments} {payload}) (then {accept})) \
                     (call $host_error (i32.const 2000000)) \
                     (call $error (i32.const 2000000) (call $host_error_len)) \
                     (return (i32.const 0))"
                )
            }
        }
    }

    fn respond(&mut self, bytes: &[u8]) -> String {
        let bytes = self.add(bytes);
        format!("(call $respond {bytes}) (return (i32.const 1))")
    }

    fn segment(&self) -> String {
        let mut text = String::new();
        for byte in &self.0 {
            write!(text, "\\{byte:02x}").unwrap();
        }
        text
    }
}
