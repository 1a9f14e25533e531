//! Resources of the injected containers.

use std::borrow::Cow;

use super::reader::Block;
use super::{chart, resource_name};
use crate::quantity::Quantity;

/// Resources of a container: amounts by resource name.
#[derive(Debug, Clone)]
pub struct Resources {
    pub limits: Amounts,
    pub requests: Amounts,
}

/// Amounts by resource name, each name once.
#[derive(Debug, Clone)]
pub struct Amounts(pub(super) Cow<'static, [Named]>);

pub(super) type Named = (Cow<'static, str>, Amount);

/// An amount, and whether somebody wrote it or it is the policy's own default.
#[derive(Debug, Clone)]
pub struct Amount {
    pub quantity: Quantity,
    pub built_in: bool,
}

/// One of the policy's own, which costs a request nothing.
pub(super) const fn amount(name: &'static str, quantity: &'static str) -> Named {
    (Cow::Borrowed(name), Amount { quantity: Quantity::built_in(quantity), built_in: true })
}

impl Amounts {
    pub fn get(&self, name: &str) -> Option<&Amount> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, amount)| amount)
    }

    pub fn set(&mut self, name: &str, amount: Amount) {
        let amounts = self.0.to_mut();
        match amounts.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = amount,
            None => amounts.push((name.to_owned().into(), amount)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Amount)> {
        self.0.iter().map(|(name, amount)| (&**name, amount))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Resources {
    /// Settles requests over their limits: the policy's own default gives way to
    /// what somebody wrote; two written amounts that conflict are returned as
    /// `(resource, request, limit)`.
    pub fn reconciled(mut self) -> (Self, Vec<(String, String, String)>) {
        let both = self.requests.iter().filter_map(|(name, request)| {
            let limit = self.limits.get(name)?;
            // The defaults fit together.
            let over = !(request.built_in && limit.built_in) && request.quantity.exceeds(&limit.quantity);
            over.then(|| (name.to_owned(), request.clone(), limit.clone()))
        });
        let mut conflicts = Vec::new();
        for (name, request, limit) in both.collect::<Vec<_>>() {
            if request.built_in {
                self.requests.set(&name, limit);
            } else if limit.built_in {
                self.limits.set(&name, request);
            } else {
                let written = |amount: &Amount| amount.quantity.as_str().to_owned();
                conflicts.push((name, written(&request), written(&limit)));
            }
        }
        (self, conflicts)
    }
}

/// Reads a container's `resources`.
pub fn resources(mut block: Block<'_, '_>, defaults: Resources) -> Resources {
    if block.is_absent() {
        return defaults;
    }
    let resources = Resources {
        requests: amounts(&mut block, "requests", defaults.requests),
        limits: amounts(&mut block, "limits", defaults.limits),
    };
    let (resources, conflicts) = resources.reconciled();
    for (name, request, limit) in conflicts {
        let why = format!("is over the limit {limit}");
        block.text_problem(
            &format!("requests.{name}"),
            &request,
            &why,
            "write a request that is not over the limit",
        );
    }
    let written = resources.requests.iter().filter(|(_, request)| !request.built_in);
    for (name, request) in written.filter(|(name, _)| resource_name::is_counted(name)) {
        let limit = resources.limits.get(name);
        // What is over the limit has been told.
        if limit.is_none_or(|limit| limit.quantity.exceeds(&request.quantity)) {
            let why = "is not the limit, and Kubernetes takes no other request of such a resource";
            let remedy = "write the same amount under requests and limits";
            block.text_problem(&format!("requests.{name}"), request.quantity.as_str(), why, remedy);
        }
    }
    block.end(chart::elsewhere);
    resources
}

/// Far more resources than there are.
const RESOURCES_LIMIT: usize = 100;

fn amounts(block: &mut Block<'_, '_>, key: &'static str, mut amounts: Amounts) -> Amounts {
    let written = block.block(key).free_texts();
    if written.len() > RESOURCES_LIMIT {
        let why = format!("lists {} resources, over the {RESOURCES_LIMIT} that are looked at", written.len());
        block.silent_problem(key, &why, "write cpu and memory");
        return amounts;
    }
    for (name, text) in written {
        if let Some(remedy) = resource_name::remedy(&name) {
            block.silent_problem(&format!("{key}.{name}"), "is not the name of a resource", &remedy);
        }
        let Some(text) = text else { continue };
        match text.parse::<Quantity>() {
            Ok(quantity) => {
                amounts.set(&name, Amount { quantity, built_in: false });
            }
            Err(why) => {
                let key = format!("{key}.{name}");
                block.text_problem(&key, &text, &why.to_string(), "write a quantity such as 100m or 64Mi");
            }
        }
    }
    amounts
}

#[cfg(test)]
mod tests {
    use super::super::default;

    #[test]
    fn the_defaults_are_quantities_and_fit_together() {
        for resources in [default::ENVOY, default::INIT, default::LIFECYCLE] {
            for (name, request) in resources.requests.iter() {
                assert_eq!(request.quantity.as_str().parse(), Ok(request.quantity.clone()));
                let limit = resources.limits.get(name);
                assert!(limit.is_none_or(|limit| !request.quantity.exceeds(&limit.quantity)));
            }
            for (_, limit) in resources.limits.iter() {
                assert_eq!(limit.quantity.as_str().parse(), Ok(limit.quantity.clone()));
            }
        }
    }
}
