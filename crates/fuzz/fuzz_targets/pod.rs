//! Any text as a pod: what is injected is JSON still, and is left alone the second
//! time.
#![no_main]

use consul_connect_injector_fuzz::about;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|object: &str| {
    // Else it would be a request of another form, which `request` tries.
    if serde_json::from_str::<Value>(object).is_err() {
        return;
    }
    for settings in [json!({ "default": true }), json!({ "default": true, "nativeSidecars": false })] {
        let first = about(object, &settings);
        if let Some(injected) = first.get("mutated_object") {
            let second = about(&injected.to_string(), &settings);
            let reason = second["audit_annotations"]["connect-inject-reason"].as_str();
            assert!(reason.is_some_and(|reason| reason.starts_with("already-injected")), "{second}");
        }
    }
});
