//! Domain samples: the vectors of some tools of each domain.
//!
//! Only tools that everyone may see are in here, so that nothing learned from them tells of any other.

use std::collections::{BTreeMap, HashMap, HashSet};

use toolweaver_contracts::{Domain, Tenant, Tool, ToolKey};
use uuid::Uuid;

use crate::parameters::DOMAIN_SAMPLE;

/// Samples of all tenants.
#[derive(Debug, Default)]
pub struct Samples(HashMap<Tenant, BTreeMap<Domain, DomainSample>>);

/// Sample of a domain.
#[derive(Debug, Default)]
pub struct DomainSample {
    /// All tools that everyone may see.
    members: HashSet<Uuid>,
    /// The members with the smallest ids, which are hashes: a uniform choice, and the same in every worker.
    /// After a removal the next tools to come fill the gap, whatever their ids.
    vectors: BTreeMap<Uuid, Box<[f32]>>,
}

impl Samples {
    /// Adds a tool in place of what it was before; `vector` is `None` where it has none of this model.
    pub fn put(&mut self, key: &ToolKey, tool: &Tool, vector: Option<&[f32]>) {
        let (Some(vector), true) = (vector, tool.allowed_roles.is_empty()) else {
            self.remove(key);
            return;
        };
        let point_id = key.point_id();
        let domain = self.0.entry(key.tenant.clone()).or_default().entry(key.domain.clone()).or_default();
        domain.members.insert(point_id);
        domain.vectors.insert(point_id, vector.into());
        if domain.vectors.len() > DOMAIN_SAMPLE {
            domain.vectors.pop_last();
        }
    }

    /// Removes a tool.
    pub fn remove(&mut self, key: &ToolKey) {
        let Some(domains) = self.0.get_mut(&key.tenant) else { return };
        let Some(domain) = domains.get_mut(&key.domain) else { return };
        let point_id = key.point_id();
        domain.members.remove(&point_id);
        domain.vectors.remove(&point_id);
        if domain.members.is_empty() {
            domains.remove(&key.domain);
        }
    }

    /// Returns the domains of a tenant, each with its sample.
    pub fn of(&self, tenant: &Tenant) -> impl Iterator<Item = (&Domain, &DomainSample)> {
        self.0.get(tenant).into_iter().flatten()
    }

    /// Counts the tools of a domain that everyone may see.
    pub fn tools(&self, tenant: &Tenant, domain: &Domain) -> usize {
        self.0.get(tenant).and_then(|domains| domains.get(domain)).map_or(0, DomainSample::tools)
    }

    /// Returns all tenants with a tool that everyone may see.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.0.iter().filter(|(_, domains)| !domains.is_empty()).map(|(tenant, _)| tenant.clone()).collect()
    }
}

impl DomainSample {
    /// Counts the tools in the domain that everyone may see.
    pub fn tools(&self) -> usize {
        self.members.len()
    }

    /// Returns the sampled tools and their vectors.
    pub fn vectors(&self) -> impl ExactSizeIterator<Item = (Uuid, &[f32])> {
        self.vectors.iter().map(|(point_id, vector)| (*point_id, &**vector))
    }
}

#[cfg(test)]
mod tests {
    use toolweaver_contracts::{Tenant, Tool, ToolKey};

    use super::Samples;
    use crate::parameters::DOMAIN_SAMPLE;

    fn tool(name: &str, roles: &[&str]) -> (ToolKey, Tool) {
        let json = serde_json::json!({ "tool_name": name, "domain": "ops", "allowed_roles": roles });
        let tool: Tool = serde_json::from_value(json).unwrap();
        let (domain, tool_name) = (tool.domain.clone(), tool.tool_name.clone());
        (ToolKey { tenant: Tenant::default(), domain, tool_name }, tool)
    }

    #[test]
    fn a_sample_is_bounded_the_same_in_any_order_and_of_public_tools_only() {
        let tools: Vec<_> = (0..400).map(|i| tool(&format!("tool {i}"), &[])).collect();
        let (mut forward, mut backward) = (Samples::default(), Samples::default());
        for (key, tool) in &tools {
            forward.put(key, tool, Some(&[1.0]));
        }
        for (key, tool) in tools.iter().rev() {
            backward.put(key, tool, Some(&[1.0]));
        }
        let (secret_key, secret) = tool("secret", &["admin"]);
        forward.put(&secret_key, &secret, Some(&[1.0]));
        let ids = |samples: &Samples| -> Vec<_> {
            samples
                .of(&Tenant::default())
                .flat_map(|(_, domain)| domain.vectors().map(|(id, _)| id))
                .collect()
        };
        assert_eq!(ids(&forward), ids(&backward));
        assert_eq!(ids(&forward).len(), DOMAIN_SAMPLE);
        assert_eq!(forward.of(&Tenant::default()).map(|(_, domain)| domain.tools()).sum::<usize>(), 400);
    }

    #[test]
    fn what_is_gone_or_hidden_is_forgotten() {
        let mut samples = Samples::default();
        let (key, open) = tool("one", &[]);
        samples.put(&key, &open, Some(&[1.0]));
        assert_eq!(samples.tenants().len(), 1);
        samples.put(&key, &tool("one", &["admin"]).1, Some(&[1.0]));
        assert_eq!(samples.of(&Tenant::default()).count(), 0);
        samples.put(&key, &open, Some(&[1.0]));
        samples.remove(&key);
        assert!(samples.tenants().is_empty());
    }
}
