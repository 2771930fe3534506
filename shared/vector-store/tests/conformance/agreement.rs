//! Random histories and random predicates: every store must say what a plain model of the promises says.

use std::{collections::HashMap, sync::Arc};

use proptest::{
    collection::{btree_set, vec},
    prelude::*,
    sample::select,
    test_runner::TestRunner,
};
use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey, ToolType};
use toolweaver_vector_store::{Point, Tombstone, VectorStore};
use uuid::Uuid;

use crate::{
    naive,
    scene::{DIMS, cosine, fresh_tenant, key, tool},
};

/// Few of each, so that they meet often.
const DOMAINS: [&str; 3] = ["git", "chat", "mail"];
const NAMES: [&str; 4] = ["open", "close", "list all", "send/v2"];
const LABELS: [&str; 3] = ["red", "green", "blue"];
const TENANTS: usize = 2;

/// The writes to a store, and the questions asked afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    steps: Vec<Step>,
    questions: Vec<Question>,
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<Registration>),
    Remove(Vec<(Name, u64)>),
}

/// Tenant, domain and tool name by number.
type Name = (usize, usize, usize);

#[derive(Debug, Clone)]
struct Registration {
    name: Name,
    revision: u64,
    tool_type: ToolType,
    tags: Vec<String>,
    allowed_roles: Vec<String>,
    vector: Vec<f32>,
}

#[derive(Debug, Clone)]
struct Question {
    tenant: usize,
    domain: Option<usize>,
    tool_types: Vec<ToolType>,
    tags: Vec<String>,
    roles: Vec<String>,
    exclude: Vec<Name>,
    /// At least one.
    vectors: Vec<Vec<f32>>,
    limit: usize,
    also: Vec<Name>,
}

/// Runs `test` on `cases` random scripts; a failing one is made smaller before it is shown.
pub(crate) fn check(cases: u32, test: impl AsyncFn(Script)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let outcome = runner.run(&script(), |script| {
        runtime.block_on(test(script));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Plays the script on the store and compares every answer with the model's.
pub(crate) async fn run(store: &impl VectorStore, script: &Script) {
    let tenants: [Tenant; TENANTS] = std::array::from_fn(|_| fresh_tenant());
    let mut model = Model::default();
    for step in &script.steps {
        match step {
            Step::Upsert(registrations) => {
                let points: Vec<Point> = registrations.iter().map(|sent| sent.point(&tenants)).collect();
                store.upsert(&points).await.unwrap();
                for point in points {
                    model.apply(point.key.clone(), point.revision, Some(point));
                }
            }
            Step::Remove(removals) => {
                let tombstones: Vec<Tombstone> = removals
                    .iter()
                    .map(|(name, revision)| Tombstone { key: resolve(&tenants, *name), revision: *revision })
                    .collect();
                store.remove(&tombstones).await.unwrap();
                for gone in tombstones {
                    model.apply(gone.key, gone.revision, None);
                }
            }
        }
    }
    for question in &script.questions {
        compare(store, &model, question, &tenants).await;
    }
}

async fn compare(store: &impl VectorStore, model: &Model, question: &Question, tenants: &[Tenant; TENANTS]) {
    let predicate = question.predicate(tenants);
    let expected = model.admitted(&predicate);
    let cosines = expected.iter().map(|point| (point.key.point_id(), question.cosines(point))).collect();
    let also: Vec<Uuid> = question.also.iter().map(|name| resolve(tenants, *name).point_id()).collect();
    let found = store.search(&question.vectors, &predicate, question.limit, &also).await.unwrap();
    naive::check(&found, &cosines, question.limit, &also);
}

/// The promises, written as plainly as possible.
#[derive(Default)]
struct Model(HashMap<ToolKey, (u64, Option<Point>)>);

impl Model {
    fn apply(&mut self, key: ToolKey, revision: u64, point: Option<Point>) {
        if self.0.get(&key).is_none_or(|(stored, _)| *stored < revision) {
            self.0.insert(key, (revision, point));
        }
    }

    fn admitted(&self, predicate: &Predicate) -> Vec<&Point> {
        let live = self.0.values().filter_map(|(_, point)| point.as_ref());
        let mut admitted: Vec<_> = live.filter(|point| predicate.admits(&point.key, &point.tool)).collect();
        admitted.sort_by_key(|point| point.key.point_id());
        admitted
    }
}

fn resolve(tenants: &[Tenant; TENANTS], (tenant, domain, name): Name) -> ToolKey {
    key(&tenants[tenant], DOMAINS[domain], NAMES[name])
}

impl Registration {
    fn point(&self, tenants: &[Tenant; TENANTS]) -> Point {
        let key = resolve(tenants, self.name);
        let tool = Tool {
            tool_type: self.tool_type,
            tags: self.tags.clone(),
            allowed_roles: self.allowed_roles.clone(),
            ..tool(&key)
        };
        Point { key, revision: self.revision, tool: Arc::new(tool), vector: self.vector.clone() }
    }
}

impl Question {
    fn cosines(&self, point: &Point) -> Vec<f32> {
        self.vectors.iter().map(|vector| cosine(vector, &point.vector)).collect()
    }

    fn predicate(&self, tenants: &[Tenant; TENANTS]) -> Predicate {
        Predicate {
            tenant: tenants[self.tenant].clone(),
            domain: self.domain.map(|domain| DOMAINS[domain].parse().unwrap()),
            tool_types: self.tool_types.iter().copied().collect(),
            tags: self.tags.iter().cloned().collect(),
            roles: self.roles.iter().cloned().collect(),
            exclude: self.exclude.iter().map(|name| resolve(tenants, *name).tool_id()).collect(),
        }
    }
}

fn script() -> impl Strategy<Value = Script> {
    (vec(step(), 1..12), vec(question(), 1..8)).prop_map(|(steps, questions)| Script { steps, questions })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => vec(registration(), 1..8).prop_map(Step::Upsert),
        1 => vec((name(), revision()), 1..4).prop_map(Step::Remove),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    (0..TENANTS, 0..DOMAINS.len(), 0..NAMES.len())
}

fn revision() -> impl Strategy<Value = u64> {
    1..30_u64
}

fn tool_type() -> impl Strategy<Value = ToolType> {
    select(vec![ToolType::McpWorker, ToolType::Function, ToolType::CodeExec])
}

fn labels() -> impl Strategy<Value = Vec<String>> {
    let some = btree_set(select(LABELS.map(str::to_owned).to_vec()), 0..=2);
    some.prop_map(|labels| labels.into_iter().collect())
}

/// Draws a vector, never a zero one: its cosine is not defined.
fn vector() -> impl Strategy<Value = Vec<f32>> {
    vec(-1.0..1.0_f32, DIMS).prop_map(|mut vector| {
        vector[0] += 1.5;
        vector
    })
}

fn registration() -> impl Strategy<Value = Registration> {
    (name(), revision(), tool_type(), labels(), labels(), vector()).prop_map(
        |(name, revision, tool_type, tags, allowed_roles, vector)| Registration {
            name,
            revision,
            tool_type,
            tags,
            allowed_roles,
            vector,
        },
    )
}

fn question() -> impl Strategy<Value = Question> {
    let domain = proptest::option::of(0..DOMAINS.len());
    let filters = (0..TENANTS, domain, vec(tool_type(), 0..2), labels(), labels(), vec(name(), 0..2));
    let search = (vec(vector(), 1..4), 0..12_usize, vec(name(), 0..4));
    (filters, search).prop_map(
        |((tenant, domain, tool_types, tags, roles, exclude), (vectors, limit, also))| Question {
            tenant,
            domain,
            tool_types,
            tags,
            roles,
            exclude,
            vectors,
            limit,
            also,
        },
    )
}
