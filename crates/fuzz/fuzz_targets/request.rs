//! Any bytes as a whole request.
#![no_main]

use consul_connect_injector_fuzz::answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    answer(payload);
});
