//! Any JSON as a pod; an injected pod must stay unchanged the second time.
#![no_main]

use consul_connect_injector_fuzz::about;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|object: &[u8]| {
    let Ok(object) = serde_json::from_slice::<Value>(object) else { return };
    for settings in [json!({ "default": true }), json!({ "default": true, "nativeSidecars": false })] {
        if let Some(injected) = about(&object, &settings).mutated_object {
            let second = about(&injected, &settings);
            assert_eq!(second.reason(), "already-injected", "{second:?}");
        }
    }
});
