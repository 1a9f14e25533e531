//! How each key of the chart is translated.

mod agent;
mod dataplane;

use super::Mode;
/// How a key is translated. A rule applies to everything below its key.
pub enum Rule {
    /// The setting with the same meaning.
    Setting(&'static str),
    /// Configures the injector that the policy replaces.
    Injector,
    /// Configures Consul itself, which the chart still deploys.
    Consul,
    /// A feature of later injectors, and what to do instead.
    OtherMode(&'static str),
    /// What to do if it is used.
    Remedy(&'static str),
    /// Translated by the mode's function `special`.
    Special,
}

/// What a path of the chart's values is.
pub enum Entry {
    Key(&'static Rule),
    /// A block with keys below it.
    Block,
    Unknown,
}

pub fn entry(mode: Mode, path: &str) -> Entry {
    let own = (mode == Mode::Dataplane).then_some(dataplane::RULES);
    own.into_iter().chain([agent::RULES]).find_map(|rules| entry_in(rules, path)).unwrap_or(Entry::Unknown)
}

fn entry_in(rules: Rules, path: &str) -> Option<Entry> {
    if let Some(rule) = find(rules, path) {
        return Some(Entry::Key(rule));
    }
    if children_in(rules, path).next().is_some() {
        return Some(Entry::Block);
    }
    let (block, _) = path.rsplit_once('.')?;
    // A misspelt key is not one of the other keys of its block.
    find(rules, &format!("{block}.*")).filter(|_| nearest(path).is_none()).map(Entry::Key)
}

type Rules = &'static [(&'static str, Rule)];

fn find(rules: Rules, path: &str) -> Option<&'static Rule> {
    rules.iter().find(|(key, _)| *key == path).map(|(_, rule)| rule)
}

fn children_in(rules: Rules, block: &str) -> impl Iterator<Item = &'static str> {
    rules.iter().filter_map(move |(key, _)| {
        let rest = if block.is_empty() { key } else { key.strip_prefix(block)?.strip_prefix('.')? };
        rest.split('.').next()
    })
}

/// The chart's keys in a block; the top level has the empty path.
pub fn children(block: &str) -> impl Iterator<Item = &'static str> {
    let below = children_in(agent::RULES, block).chain(children_in(dataplane::RULES, block));
    below.filter(|key| *key != "*")
}

/// The keys of the charts that [`translate`](super::translate) knows, each with all that is below it.
pub fn keys(mode: Mode) -> impl Iterator<Item = &'static str> {
    let own = if mode == Mode::Dataplane { dataplane::RULES } else { &[] };
    let own_keys = own.iter().map(|(key, _)| *key);
    // A block whose keys the mode translates is not a key itself.
    let others = agent::RULES.iter().map(|(key, _)| *key);
    let others = others.filter(move |key| find(own, key).is_none() && children_in(own, key).next().is_none());
    own_keys.chain(others).filter(|key| !key.ends_with(".*"))
}

/// Whether the chart has this key: with a rule for it, for a block above it, or for keys below it.
pub fn is_known(path: &str) -> bool {
    let mut above = path;
    loop {
        if find(agent::RULES, above).or_else(|| find(agent::RULES, &format!("{above}.*"))).is_some() {
            return true;
        }
        match above.rsplit_once('.') {
            Some((block, _)) => above = block,
            None => return children(path).next().is_some(),
        }
    }
}

/// The known key that is most similar to an unknown one, with the path of its block.
pub fn nearest(path: &str) -> Option<String> {
    let (block, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (_, known) = children(block)
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| distance * 3 <= known.len().max(name.len()))?;
    Some(if block.is_empty() { known.to_owned() } else { format!("{block}.{known}") })
}
