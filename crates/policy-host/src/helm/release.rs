//! The Helm release of the values.

use super::values::Values;

/// What the names of the chart's objects depend on besides the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub name: String,
    pub namespace: String,
    /// Whether both are known, and not the defaults.
    pub is_known: bool,
}

impl Release {
    /// The prefix of the names of the chart's objects.
    pub fn fullname(&self, values: Values<'_>) -> String {
        let name = values.name().map_or_else(
            || format!("{}-{}", self.name, values.text("/nameOverride").unwrap_or("consul")),
            str::to_owned,
        );
        name.chars().take(63).collect::<String>().trim_end_matches('-').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fullname_is_the_charts() {
        let release = Release { name: "mesh".to_owned(), namespace: "consul".to_owned(), is_known: true };
        for (values, fullname) in [
            (json!({}), "mesh-consul"),
            (json!({ "nameOverride": "hc" }), "mesh-hc"),
            (json!({ "global": { "name": "consul" } }), "consul"),
            (json!({ "global": { "name": "consul" }, "fullnameOverride": "own" }), "own"),
        ] {
            assert_eq!(release.fullname(Values(&values)), fullname);
        }
        let long = json!({ "global": { "name": format!("{}-x", "a".repeat(62)) } });
        assert_eq!(release.fullname(Values(&long)), "a".repeat(62));
    }
}
