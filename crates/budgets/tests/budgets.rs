//! No figure of `policy.wasm` exceeds its budget by more than a tenth. `UPDATE=1` sets the
//! budgets to the measured figures.

use std::{collections::BTreeMap, env, fs, path::Path};

use policy_budgets::{all, measure};
use policy_host::Policy;

const TOLERANCE_PERCENT: u64 = 10;

type Values = BTreeMap<String, u64>;

fn measured() -> Values {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policy.wasm");
    let wasm = fs::read(path).expect("`make policy.wasm` builds the policy");
    let policy = Policy::builder().timeout(None).bytes(&wasm).unwrap();
    let mut values = Values::from([("module bytes".to_owned(), wasm.len() as u64)]);
    for case in all() {
        let figures = measure(&policy, &case).unwrap();
        let mut add = |name: &str, value| values.insert(format!("{}: {name}", case.name), value);
        add("fuel", figures.fuel);
        add("peak memory bytes", figures.peak_memory_bytes);
        if let Some(patch) = figures.patch {
            add("patch operations", patch.operations as u64);
            add("patch bytes", patch.bytes as u64);
        }
    }
    values
}

/// The figures that exceed their budgets or have none, and the budgets without a figure.
fn broken(measured: &Values, budgets: &Values) -> Vec<String> {
    let over = measured.iter().filter_map(|(name, value)| match budgets.get(name) {
        None => Some(format!("{name} is {value} and has no budget")),
        Some(budget) if value * 100 > budget * (100 + TOLERANCE_PERCENT) => {
            Some(format!("{name} is {value}, more than {TOLERANCE_PERCENT}% over {budget}"))
        }
        Some(_) => None,
    });
    let missing = budgets.keys().filter(|name| !measured.contains_key(*name));
    over.chain(missing.map(|name| format!("{name} has a budget and was not measured"))).collect()
}

#[test]
fn the_policy_stays_within_its_budgets() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.json");
    let measured = measured();
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, serde_json::to_string_pretty(&measured).unwrap() + "\n").unwrap();
    }
    let budgets = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let broken = broken(&measured, &budgets);
    assert!(broken.is_empty(), "over budget (UPDATE=1 make budgets accepts it):\n  {}", broken.join("\n  "));
}

#[test]
fn a_step_back_is_named() {
    let values =
        |pairs: &[(&str, u64)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(
        broken(&values(&[("a", 111), ("b", 110), ("c", 1)]), &values(&[("a", 100), ("b", 100), ("d", 1)])),
        [
            "a is 111, more than 10% over 100",
            "c is 1 and has no budget",
            "d has a budget and was not measured",
        ]
    );
}
