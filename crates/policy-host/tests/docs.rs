//! The documentation: its links are valid, and the messages of the policy and its scripts can
//! be looked up in it.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use consul_connect_injector::reason::Reason;
use policy_host::{against::REASONS, documents, helm};
use serde_json::json;
use support::{
    host::host,
    project::{AGENT, files, outcomes, read, refusal, root},
};

/// All Markdown of the project.
fn pages() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["docs", "examples", "e2e"].iter().flat_map(|folder| files(folder, ".md")).collect();
    let top = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let top = top.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.extend(top.map(|path| path.strip_prefix(root()).unwrap().to_owned()));
    found.sort();
    found
}

/// The text without its code blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// The anchors of a document's headings, as GitHub generates them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings =
        prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let mut seen = BTreeMap::<String, usize>::new();
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            let kept: String =
                kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
            let slug = kept.replace(' ', "-");
            let times = seen.entry(slug.clone()).or_default();
            *times += 1;
            if *times > 1 { format!("{slug}-{}", *times - 1) } else { slug }
        })
        .collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1);
    targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for path in pages() {
        let text = read(&path);
        for link in links(&text) {
            if link.contains("://") {
                assert!(link.starts_with("https://"), "{}: {link}", path.display());
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let whole = root().join(&target);
            assert!(whole.exists(), "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                assert!(
                    anchors(&read(&target)).contains(anchor),
                    "{}: {link}: no such heading",
                    path.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let (mut reached, mut rest) = (BTreeSet::new(), vec![PathBuf::from("README.md")]);
    while let Some(path) = rest.pop() {
        if !reached.insert(path.clone()) || path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for link in links(&read(&path)).iter().filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() {
                rest.push(tidy(&path.parent().unwrap().join(file)));
            }
        }
    }
    for path in files("docs", ".md") {
        assert!(reached.contains(&path), "{}: no way leads there from the README", path.display());
    }
}

fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    tidy
}

#[test]
fn the_make_targets_that_are_named_are_there() {
    let makefile = read("Makefile");
    let targets: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(target, _)| !target.starts_with(['\t', '#', '.']))
        .map(|(target, _)| target.trim())
        .collect();
    for path in pages() {
        for named in read(&path).split("`make ").skip(1) {
            let target: String = named
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
                .collect();
            let there = target.is_empty() || targets.contains(target.as_str());
            assert!(there, "{}: make {target}", path.display());
        }
    }
}

#[test]
fn every_reason_can_be_looked_up() {
    let text = read("docs/troubleshooting.md");
    for reason in Reason::ALL {
        let row = format!("| `{}` | {}", reason.name(), reason.sentence());
        assert!(text.contains(&row), "docs/troubleshooting.md lacks {row}");
    }
}

/// The double-quoted strings after these commands in all scripts.
fn script_messages() -> Vec<(String, String)> {
    let mut messages = Vec::new();
    for path in files("src/mode/agent/scripts", ".sh") {
        let script = read(&path);
        let code = script.lines().filter(|line| !line.trim_start().starts_with('#'));
        let code = code.fold(String::new(), |text, line| text + line + "\n");
        for (index, _) in code.match_indices('"') {
            let before = code[..index].rsplit(['\n', ';', '{', '(']).next().unwrap().trim_start();
            let said = before.ends_with("why=")
                || before.ends_with("log ")
                || before.ends_with("die ")
                || before
                    .split("trouble ")
                    .nth(1)
                    .is_some_and(|key| !key.contains('"') && key.ends_with(' '))
                || before.ends_with("trouble \"$code\" ");
            if said {
                let message = code[index + 1..].split('"').next().unwrap();
                messages.push((path.display().to_string(), message.to_owned()));
            }
        }
    }
    messages
}

/// The parts of a string between the shell's expansions.
fn literal_pieces(message: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut rest) = (Vec::new(), String::new(), message.chars().peekable());
    while let Some(character) = rest.next() {
        if character != '$' {
            piece.push(character);
            continue;
        }
        pieces.push(std::mem::take(&mut piece));
        let closing = rest.peek().copied().filter(|next| *next == '{' || *next == '(');
        if closing.is_some() {
            let mut depth = 0;
            for next in rest.by_ref() {
                depth += i32::from(matches!(next, '{' | '(')) - i32::from(matches!(next, '}' | ')'));
                if depth == 0 {
                    break;
                }
            }
        } else {
            while rest
                .next_if(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '@' | '*'))
                .is_some()
            {}
        }
    }
    pieces.push(piece);
    pieces
}

/// The first few consecutive words, for which a user would search.
fn head(pieces: &[String]) -> Option<String> {
    let parts = pieces.iter().flat_map(|piece| piece.split([':', ';', '(', ')', ',']));
    let mut parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>());
    let words = parts.find(|words| words.len() >= 2)?;
    Some(words.into_iter().take(8).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_message_of_the_scripts_can_be_looked_up() {
    let text = read("docs/troubleshooting.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let messages = script_messages();
    assert!(messages.len() > 40, "{}", messages.len());
    let missing: Vec<_> = messages
        .iter()
        .filter_map(|(path, message)| Some((path, message, head(&literal_pieces(message))?)))
        .filter(|(.., head)| !text.contains(head.as_str()))
        .map(|(path, message, head)| format!("{path}: {head}\n    {message}"))
        .collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks\n{}", missing.join("\n"));
}

/// The beginnings of instructions. Messages contain them, and the documentation only the causes.
const INSTRUCTIONS: &[&str] = &[
    "ask ",
    "close ",
    "create ",
    "did you mean",
    "in dataplane mode, set",
    "list ",
    "lower ",
    "raise ",
    "remove ",
    "rename ",
    "set ",
    "the settings here",
    "use ",
    "with ACLs enabled, write",
    "write ",
];

/// The string literals in the policy's code that are sentences.
fn policy_messages() -> Vec<(String, String)> {
    let mut messages = Vec::new();
    for path in files("src", ".rs") {
        let code = read(&path);
        let code = code.split("#[cfg(test)]").next().unwrap();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.replace("'\"'", "");
        let mut rest = code.as_str();
        while let Some((before, literal)) = rest.split_once('"') {
            let mut escaped = false;
            let end = literal.find(|character| {
                let ends = character == '"' && !escaped;
                escaped = character == '\\' && !escaped;
                ends
            });
            let (literal, after) = literal.split_at(end.unwrap());
            rest = &after[1..];
            let sentence = literal.split_whitespace().count() > 3 && !literal.starts_with(['/', ' ']);
            if sentence && !before.ends_with(".context(") {
                messages.push((path.display().to_string(), literal.replace("\\\"", "\"")));
            }
        }
    }
    messages
}

#[test]
fn every_message_of_the_policy_can_be_looked_up() {
    let text = read("docs/troubleshooting.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let messages = policy_messages();
    assert!(messages.len() > 150, "{}", messages.len());
    let missing: Vec<_> = messages
        .iter()
        .filter_map(|(path, message)| {
            let pieces: Vec<String> = message.split(['{', '}']).step_by(2).map(str::to_owned).collect();
            Some((path, message, head(&pieces)?))
        })
        .filter(|(_, message, head)| {
            let is_instruction =
                |text: &str| INSTRUCTIONS.iter().any(|word| text.starts_with(word.trim_end()));
            !is_instruction(message) && !is_instruction(head)
        })
        .filter(|(.., head)| !text.contains(head.as_str()))
        .map(|(path, message, head)| format!("{path}: {head}\n    {message}"))
        .collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks\n{}", missing.join("\n"));
}

#[test]
fn every_difference_from_the_original_is_documented() {
    let text = read("docs/migrate.md");
    let section = text.split("## What differs, and why").nth(1).unwrap();
    let (agent, dataplane) = section.split_once("**In dataplane mode,**").unwrap();
    for (section, test, table) in
        [(agent, "tests/conformance.rs", &[][..]), (dataplane, "tests/dataplane_conformance.rs", REASONS)]
    {
        let test = read(test);
        let written = test.split("says: \"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let reasons: BTreeSet<&str> = written.chain(table.iter().map(|reason| reason.says)).collect();
        let mut told: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("- ")).collect();
        told.sort_unstable();
        assert_eq!(told, Vec::from_iter(reasons));
    }
}

/// The values of the Helm chart (for agent mode), policies and settings in the documentation are valid, and
/// translated values give a policy that injects.
#[test]
fn the_yaml_in_the_documentation_is_right() {
    let (mut values, mut settings) = (0, 0);
    for path in [
        "README.md",
        "docs/install.md",
        "docs/migrate.md",
        "docs/openshift.md",
        "docs/resources.md",
        "docs/troubleshooting.md",
    ] {
        for block in read(path).split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let document =
                documents::parse_one(block).unwrap_or_else(|error| panic!("{path}: {error}\n{block}"));
            if document["kind"] == "Pod" {
                let injected = outcomes(&document, &json!({})).iter().all(|outcome| outcome.injected);
                assert!(injected, "{path}: this pod is not injected:\n{block}");
            } else if document.get("spec").is_some() {
                assert_eq!(refusal(&document["spec"]["settings"]), None, "{path}:\n{block}");
                settings += 1;
            } else if document.get("connectInject").is_some() {
                let translation = helm::translate(&document, &AGENT).unwrap();
                let unknown: Vec<_> = translation
                    .outcomes
                    .iter()
                    .filter(|outcome| outcome.fate == helm::Fate::Unknown)
                    .collect();
                assert!(unknown.is_empty(), "{path}: {unknown:?}");
                assert_eq!(refusal(&translation.settings), None, "{path}:\n{block}");
                let server = documents::parse(&read("examples/static-server.yaml")).unwrap();
                let pod = server.iter().find(|document| document["kind"] == "Pod").unwrap();
                let injected = outcomes(pod, &translation.settings).iter().all(|outcome| outcome.injected);
                assert!(injected, "{path}: translated, this injects nothing:\n{block}");
                values += 1;
            } else {
                assert_eq!(refusal(&document), None, "{path}:\n{block}");
                settings += 1;
            }
        }
    }
    assert!(values >= 4 && settings >= 2, "{values} {settings}");
}

/// The options in the documentation's commands are those of `--help`.
#[test]
fn the_commands_of_the_development_host_are_right() {
    let help = |command: &str| host(&[command, "--help"], "").stdout;
    let helps: BTreeMap<_, _> = ["run", "serve", "settings"].map(|command| (command, help(command))).into();
    let mut checked = 0;
    for path in pages() {
        // In code, a command begins with the host's name and ends with the line or the backtick.
        for call in read(&path).split("policy-host ").skip(1) {
            let call = call.split(['\n', '`', '|', '#']).next().unwrap();
            let Some(help) = call.split_whitespace().next().and_then(|command| helps.get(command)) else {
                continue;
            };
            for option in call.split_whitespace().filter(|word| word.starts_with("--")) {
                assert!(
                    option == "--help" || help.contains(&format!("{option} ")),
                    "{}: policy-host {call}",
                    path.display()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "{checked}");
}
