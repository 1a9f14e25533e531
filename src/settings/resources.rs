//! Resources of the injected containers.

use std::collections::BTreeMap;

use super::reader::SettingsReader;
use crate::k8s::names::{is_counted_resource, resource_remedy};
use crate::k8s::quantity::Quantity;
use crate::problem::Flaw;

/// Resources of a container: amounts by resource name.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    pub limits: Amounts,
    pub requests: Amounts,
}

pub type Amounts = BTreeMap<String, Amount>;

/// An amount, and whether it is the policy's default or was written by somebody.
#[derive(Debug, Clone)]
pub struct Amount {
    pub quantity: Quantity,
    pub is_default: bool,
}

impl Amount {
    pub fn written(quantity: Quantity) -> Self {
        Amount { quantity, is_default: false }
    }
}

/// The defaults of a container: names and quantities.
#[derive(Debug)]
pub struct Defaults {
    pub requests: &'static [(&'static str, &'static str)],
    pub limits: &'static [(&'static str, &'static str)],
}

impl Defaults {
    pub fn resources(&self) -> Resources {
        let amounts = |list: &[(&str, &str)]| {
            let amount = |text: &str| Some(Amount { quantity: text.parse().ok()?, is_default: true });
            list.iter().filter_map(|(name, text)| Some(((*name).to_owned(), amount(text)?))).collect()
        };
        Resources { requests: amounts(self.requests), limits: amounts(self.limits) }
    }
}

/// A request over its limit.
#[derive(Debug)]
pub struct Conflict {
    pub resource: String,
    pub request: String,
    pub limit: String,
}

impl Resources {
    /// Resolves requests over their limits: a default is adjusted to a written amount, and two
    /// written amounts are a conflict.
    pub fn reconcile(&mut self) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for (resource, request) in &mut self.requests {
            let Some(limit) = self.limits.get_mut(resource) else { continue };
            if !request.quantity.exceeds(&limit.quantity) {
                continue;
            }
            if request.is_default {
                *request = limit.clone();
            } else if limit.is_default {
                *limit = request.clone();
            } else {
                conflicts.push(Conflict {
                    resource: resource.clone(),
                    request: request.quantity.as_str().to_owned(),
                    limit: limit.quantity.as_str().to_owned(),
                });
            }
        }
        conflicts
    }
}

/// Reads the block `resources` of a container.
pub fn resources(block: &mut SettingsReader<'_, '_>, defaults: &Defaults) -> Resources {
    block.block("resources", |block| {
        let defaults = defaults.resources();
        let mut resources = Resources {
            requests: amounts(block, "requests", defaults.requests),
            limits: amounts(block, "limits", defaults.limits),
        };
        for Conflict { resource, request, limit } in resources.reconcile() {
            let key = format!("requests.{resource}");
            block.problem(&key, &request, format!("must not exceed the limit of {limit}"));
        }
        let counted = resources.requests.iter().filter(|(name, _)| is_counted_resource(name));
        for (name, request) in counted {
            let limit = resources.limits.get(name);
            // A request over the limit has been reported.
            if limit.is_none_or(|limit| limit.quantity.exceeds(&request.quantity)) {
                let why = "must equal the limit: Kubernetes requires this for huge pages and devices";
                let flaw = Flaw::new(why, "write the same amount under requests and limits");
                block.problem(&format!("requests.{name}"), request.quantity.as_str(), flaw);
            }
        }
        resources
    })
}

fn amounts(block: &mut SettingsReader<'_, '_>, key: &'static str, mut amounts: Amounts) -> Amounts {
    /// Far more than a container has.
    const RESOURCES_LIMIT: usize = 100;
    let written = block.free_strings(key);
    if written.len() > RESOURCES_LIMIT {
        let rule = format!("must be at most {RESOURCES_LIMIT} resources, found {}", written.len());
        block.problem_without_value(key, rule);
        return amounts;
    }
    for (name, text) in written {
        if let Some(remedy) = resource_remedy(&name) {
            let flaw = Flaw::new("is not the name of a resource", remedy);
            block.problem_without_value(&format!("{key}.{name}"), flaw);
        }
        let Some(text) = text else { continue };
        match text.parse::<Quantity>() {
            Ok(quantity) => {
                amounts.insert(name, Amount::written(quantity));
            }
            Err(why) => {
                let key = format!("{key}.{name}");
                block.problem(&key, &text, why.to_string());
            }
        }
    }
    amounts
}
