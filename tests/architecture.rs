//! The dependencies between modules: a module uses only layers below its own, and there are no
//! cycles. `docs/architecture.md` describes the layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The layers, from the bottom to the top. Modules on the same line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["text"],
    &["nearest", "warning"],
    &["problem"],
    &["json", "reason"],
    &["consul", "k8s"],
    &["settings"],
    &["annotations"],
    &["gate", "mode"],
    &["configuration", "request", "response"],
    &["review"],
    &["admission"],
];

/// Submodules that do not use each other.
const APART: &[(&str, &str)] = &[
    ("mode::agent", "mode::dataplane"),
    ("mode::shared", "mode::agent"),
    ("mode::shared", "mode::dataplane"),
];

/// Every module of the guest, and the modules that it uses.
fn modules() -> BTreeMap<String, BTreeSet<String>> {
    let mut sources = BTreeMap::new();
    read_folder(Path::new("src"), &mut sources);
    let names: BTreeSet<String> = sources.keys().cloned().collect();
    let uses = sources.iter().map(|(module, source)| {
        let used = paths(module, source);
        let used = used.iter().filter_map(|path| longest_module(path, &names));
        (module.clone(), used.filter(|used| used != module && used != "lib").collect())
    });
    uses.collect()
}

fn read_folder(folder: &Path, sources: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let name = path.strip_prefix("src").unwrap().with_extension("");
            let name = name.to_str().unwrap().replace('/', "::");
            let name = name.strip_suffix("::mod").unwrap_or(&name).to_owned();
            sources.insert(name, lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The crate paths in a module's code.
fn paths(module: &str, source: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in source.replace(['\n', ' '], " ").split(';') {
        if let Some(tree) = line.trim().strip_prefix("pub use ").or_else(|| line.trim().strip_prefix("use "))
        {
            paths.extend(expand(tree.trim()));
        }
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = source.split(|c: char| !is_path(c)).filter(|word| word.starts_with("crate::"));
    paths.extend(words.map(str::to_owned));
    // A module names its children without a prefix.
    let children = source.split("mod ").skip(1).filter_map(|rest| rest.split(';').next());
    let children = children.filter(|child| source.contains(&format!("{child}::")));
    paths.extend(children.map(|child| format!("self::{child}")));
    paths.iter().map(|path| absolute(module, path)).collect()
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    // A message that begins with the word.
    let Some((inner, _)) = rest.rsplit_once('}') else { return Vec::new() };
    let mut depth = 0;
    let parts = inner.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(expand).map(|part| format!("{}{part}", prefix.trim())).collect()
}

fn absolute(module: &str, path: &str) -> String {
    if let Some(rest) = path.strip_prefix("crate::") {
        return rest.to_owned();
    }
    let is_folder = Path::new("src").join(module.replace("::", "/")).is_dir();
    let mut place: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    if let Some(inner) = rest.strip_prefix("self::") {
        return format!("{module}::{inner}");
    }
    while let Some(inner) = rest.strip_prefix("super::") {
        place.pop();
        rest = inner;
    }
    match rest == path {
        // Another crate, or a child of this module.
        true if is_folder => format!("{module}::{rest}"),
        true => format!("::{rest}"),
        false => [&place.join("::"), rest].join("::").trim_start_matches("::").to_owned(),
    }
}

fn longest_module(path: &str, names: &BTreeSet<String>) -> Option<String> {
    let mut path = path.strip_suffix("::self").unwrap_or(path);
    loop {
        if names.contains(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

fn layer(module: &str) -> usize {
    let found = LAYERS.iter().position(|rooms| rooms.contains(&room(module)));
    found.unwrap_or_else(|| panic!("the room of {module} has no layer: add it to LAYERS"))
}

#[test]
fn no_module_uses_one_above_it() {
    let mut wrong = Vec::new();
    for (module, used) in modules().iter().filter(|(module, _)| *module != "lib") {
        for other in used.iter().filter(|other| room(other) != room(module)) {
            if layer(other) >= layer(module) {
                wrong.push(format!("{module} uses {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn independent_modules_do_not_use_each_other() {
    let mut wrong = Vec::new();
    let within = |module: &str, room: &str| module == room || module.starts_with(&format!("{room}::"));
    for (module, used) in &modules() {
        for (left, right) in APART {
            for other in used {
                let forbidden = (within(module, left) && within(other, right))
                    || (within(module, right) && within(other, left) && *left != "mode::shared");
                if forbidden {
                    wrong.push(format!("{module} uses {other}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let modules = modules();
    let mut done = BTreeSet::new();
    for start in modules.keys() {
        if let Some(circle) = circle(start, &modules, &mut Vec::new(), &mut done) {
            panic!("{}", circle.join(" uses "));
        }
    }
}

fn circle(
    module: &str,
    modules: &BTreeMap<String, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|known| known == module) {
        return Some(path[start..].iter().cloned().chain([module.to_owned()]).collect());
    }
    if !done.insert(module.to_owned()) {
        return None;
    }
    path.push(module.to_owned());
    let found = modules[module].iter().find_map(|used| circle(used, modules, path, done));
    path.pop();
    found
}

#[test]
fn the_test_sees_the_arrows() {
    let modules = modules();
    assert!(modules["admission"].contains("review::pod"), "{:?}", modules["admission"]);
    assert!(modules["mode"].contains("mode::agent"), "{:?}", modules["mode"]);
    assert!(modules["settings::blocks"].contains("settings::reader"), "{:?}", modules["settings::blocks"]);
    assert_eq!(expand("a::{b, c::{d, e as f}}"), ["a::b", "a::c::d", "a::c::e"]);
}
