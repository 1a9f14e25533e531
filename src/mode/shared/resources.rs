//! Resources of the injected containers, as Kubernetes' types.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::settings::resources::{Amounts, Resources};

pub fn requirements(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        limits: quantities(&resources.limits),
        requests: quantities(&resources.requests),
        claims: None,
    }
}

fn quantities(amounts: &Amounts) -> Option<BTreeMap<String, Quantity>> {
    let quantity = |text: &str| Quantity(text.to_owned());
    let quantities = amounts.iter().map(|(name, amount)| (name.clone(), quantity(amount.quantity.as_str())));
    (!amounts.is_empty()).then(|| quantities.collect())
}
