//! Any strings as the injector's annotations, separated by U+0001; the first character of each
//! selects the annotation.
#![no_main]

use consul_connect_injector::annotations::names::TABLE;
use consul_connect_injector_fuzz::about;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use soak::sample;

fuzz_target!(|text: &str| {
    let written = text.split('\u{1}').filter_map(|text| {
        let first = text.chars().next()?;
        let (name, _) = TABLE.get(first as usize % TABLE.len())?;
        Some((*name, text.get(first.len_utf8()..)?))
    });
    let pod = sample::pod(&written.collect::<Vec<_>>());
    about(&pod, &json!({ "default": true }));
    about(&pod, &json!({ "default": true, "enableConsulNamespaces": true, "acls": { "enabled": true } }));
});
