//! Invariant 4 against random histories: no reply is older than a version that could be read when it was
//! asked for.
//!
//! A history is a tenant of its own: tools are registered, changed, hidden and removed; two workers apply
//! this at their own pace and answer from caches that they share or have apart; the invalidator raises
//! versions late, again, or not at all, and now and then the store forgets everything. Every reply is
//! compared with what is known to be true and with what the same worker answers without any cache.

use std::{env, num::NonZeroU64, ops::Range, sync::Arc, time::Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::json;
use toolweaver_catalog_cache::{CacheConfig, CatalogCache, Local, Store, Versions};
use toolweaver_contracts::{
    IndexedEvent, Predicate, SearchReply, SearchRequest, SearchResult, ServedFrom, Tenant, Tool, ToolKey,
};
use toolweaver_embedding::{Embedder, Hashing, Limits, Role, template};
use toolweaver_messaging::replay::Replayed;
use toolweaver_ranking::staleness::ChangedTool;

use crate::{
    answers::cache::{AnswerCache, cosines},
    freshness::RequiredVersion,
    offline::{Engine, message},
    query_embedder,
    search::answer::Answer,
};

/// Histories of a run.
const HISTORIES: u64 = 2_000;
/// Histories on one pair of workers: their catalog grows with each.
const HISTORIES_A_WORLD: u64 = 20;
const STEPS: usize = 20;
const TOP_K: u32 = 5;
/// Share of the lowest score by which two scores may differ and still count as a draw: the statistics drift.
const DRAW: f32 = 0.15;
const VERBS: [&str; 8] = ["create", "list", "delete", "merge", "send", "read", "close", "find"];
const NOUNS: [&str; 10] =
    ["issue", "label", "invoice", "message", "branch", "refund", "forecast", "ticket", "channel", "report"];
const PLACES: [&str; 6] =
    ["for a team", "of a customer", "in the archive", "by number", "at once", "every week"];
const DOMAINS: [&str; 3] = ["alpha", "beta", "gamma"];

/// Query worker: its progress, and the announcements that it heard.
struct Worker {
    engine: Engine,
    required: RequiredVersion,
    applied: usize,
}

/// Two workers, the stream that they read, and the stores that they share or have apart.
struct World {
    workers: [Worker; 2],
    stream: Vec<Replayed>,
    versions: Store,
    are_caches_shared: bool,
}

/// State of a tool from a version on; `None` from its removal on.
struct State {
    version: u64,
    key: ToolKey,
    tool: Option<Tool>,
}

struct History {
    tenant: Tenant,
    states: Vec<State>,
    rng: StdRng,
}

#[derive(Default)]
struct Counts {
    replies: u64,
    cached: u64,
    compared: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reply_is_older_than_what_could_be_read() {
    let seed: u64 =
        env::var("TOOLWEAVER_TEST_SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    let embedder = query_embedder(Arc::new(Hashing::new()), Limits::default());
    println!("seed {seed}; repeat with TOOLWEAVER_TEST_SEED={seed}");
    let started = Instant::now();
    let worlds = HISTORIES / HISTORIES_A_WORLD;
    // Two at a time, one after the other each: every history is the same whatever the other does.
    let halves = [0..worlds / 2, worlds / 2..worlds];
    let halves = halves.map(|half| tokio::spawn(run_worlds(half, seed, embedder.clone())));
    let mut counts = Counts::default();
    for half in halves {
        let Counts { replies, cached, compared } = half.await.unwrap();
        counts.replies += replies;
        counts.cached += cached;
        counts.compared += compared;
    }
    let Counts { replies, cached, compared } = counts;
    println!("{HISTORIES} histories, {replies} replies, {cached} cached, in {:?}", started.elapsed());
    assert!(cached > replies / 10 && compared > replies / 2, "{cached} and {compared} of {replies}");
}

async fn run_worlds(worlds: Range<u64>, seed: u64, embedder: Embedder) -> Counts {
    let mut counts = Counts::default();
    for world in worlds {
        let mut rng = StdRng::seed_from_u64(seed ^ world);
        let mut world = World::new(&embedder, rng.random());
        for history in 0..HISTORIES_A_WORLD {
            let tenant = format!("tenant-{history}").parse().unwrap();
            let rng = StdRng::seed_from_u64(rng.random());
            History { tenant, states: Vec::new(), rng }.run(&mut world, &mut counts).await;
        }
    }
    counts
}

fn cache(store: Store) -> CatalogCache {
    CatalogCache::new(store, &CacheConfig::local(NonZeroU64::new(1 << 24).unwrap()), "test")
}

fn store() -> Store {
    Store::Local(Local::new(1 << 24))
}

impl World {
    fn new(embedder: &Embedder, are_caches_shared: bool) -> Self {
        let versions = store();
        let worker = || {
            let cache = cache(if are_caches_shared { versions.clone() } else { store() });
            let required = RequiredVersion::new(Versions::new(versions.clone(), "test"));
            Worker { engine: Engine::new(embedder.clone(), cache, true).unwrap(), required, applied: 0 }
        };
        Self {
            workers: [worker(), worker()],
            stream: Vec::new(),
            versions: versions.clone(),
            are_caches_shared,
        }
    }

    /// Everything that the workers share is gone, as after FLUSHALL.
    fn forget(&mut self) {
        self.versions = store();
        for worker in &mut self.workers {
            if self.are_caches_shared {
                let pipeline = Arc::clone(worker.engine.answers.pipeline());
                worker.engine.answers = AnswerCache::new(pipeline, cache(self.versions.clone()));
            }
            worker.required.read_from(Versions::new(self.versions.clone(), "test"));
        }
    }
}

impl Worker {
    /// Applies the stream up to its message number `end`.
    async fn apply(&mut self, stream: &[Replayed], end: usize) {
        if end > self.applied {
            self.engine.apply(stream[self.applied..end].to_vec()).await.unwrap();
            self.applied = end;
        }
    }
}

impl History {
    async fn run(mut self, world: &mut World, counts: &mut Counts) {
        for _ in 0..self.rng.random_range(18..40) {
            self.register(world).await;
        }
        let queries: Vec<SearchRequest> = (0..3).map(|_| self.request()).collect();
        for _ in 0..STEPS {
            match self.rng.random_range(0..100) {
                0..15 => self.register(world).await,
                15..20 => self.remove(world),
                20..40 => self.invalidate(world).await,
                40..55 => {
                    let worker = &mut world.workers[self.rng.random_range(0..2)];
                    let end = self.rng.random_range(worker.applied..=world.stream.len());
                    worker.apply(&world.stream, end).await;
                }
                55..56 => world.forget(),
                _ => {
                    let request = queries.choose(&mut self.rng).unwrap().clone();
                    self.search(world, request, counts).await;
                }
            }
        }
    }

    /// A tool that is new, or one that changes; now and then only some may see it, or a query means just it.
    async fn register(&mut self, world: &mut World) {
        let rng = &mut self.rng;
        let (verb, noun) = (VERBS.choose(rng).unwrap(), NOUNS.choose(rng).unwrap());
        let number = world.stream.len();
        let description = format!("{verb} a {noun} {}. Take {number}.", PLACES.choose(rng).unwrap());
        let roles: &[&str] = if rng.random_bool(0.1) { &["ops"] } else { &[] };
        let tool: Tool = serde_json::from_value(json!({
            "tool_name": format!("{verb}_{noun}_{}", rng.random_range(0..3)),
            "domain": DOMAINS.choose(rng).unwrap(),
            "description": description,
            "allowed_roles": roles,
        }))
        .unwrap();
        let vector =
            world.workers[0].engine.embed(std::slice::from_ref(&tool), |_| ()).await.unwrap().remove(0);
        let event = world.workers[0].engine.event(&self.tenant, number as u64 + 1, tool.clone(), vector);
        world.stream.push(event);
        let key = ToolKey {
            tenant: self.tenant.clone(),
            domain: tool.domain.clone(),
            tool_name: tool.tool_name.clone(),
        };
        self.states.push(State { version: number as u64 + 1, key, tool: Some(tool) });
    }

    fn remove(&mut self, world: &mut World) {
        let Some(State { key, .. }) = self.states.choose(&mut self.rng) else { return };
        let (key, version) = (key.clone(), world.stream.len() as u64 + 1);
        let event = IndexedEvent::Removed { revision: version };
        world.stream.push(message(&key, version, &event));
        self.states.push(State { version, key, tool: None });
    }

    /// The invalidator raises the version to some event of this tenant, perhaps one that it raised before;
    /// those who listen hear of it, or miss it.
    async fn invalidate(&mut self, world: &mut World) {
        let version = self.states.choose(&mut self.rng).unwrap().version;
        let raised =
            Versions::new(world.versions.clone(), "test").raise(&self.tenant, version).await.unwrap();
        for worker in &world.workers {
            if self.rng.random_bool(0.7) {
                worker.required.observe_announced(self.tenant.clone(), raised);
            }
        }
    }

    fn request(&mut self) -> SearchRequest {
        let rng = &mut self.rng;
        let (verb, noun) = (VERBS.choose(rng).unwrap(), NOUNS.choose(rng).unwrap());
        let query = match rng.random_range(0..4) {
            0 => format!("{verb}_{noun}_1"),
            1 => format!("{verb} {noun}"),
            _ => format!("{verb} {noun} {}", PLACES.choose(rng).unwrap()),
        };
        SearchRequest {
            top_k: Some(TOP_K),
            domain: rng.random_bool(0.3).then(|| DOMAINS.choose(rng).unwrap().parse().unwrap()),
            roles: if rng.random_bool(0.3) { vec!["ops".to_owned()] } else { Vec::new() },
            ..SearchRequest::new(query)
        }
    }

    async fn search(&mut self, world: &mut World, request: SearchRequest, counts: &mut Counts) {
        let asked = self.rng.random_range(0..2);
        let Worker { engine, required, .. } = &world.workers[asked];
        let applied_version = engine.pipeline().projection().catalog().version(&self.tenant);
        let required = required.of(&self.tenant, applied_version).await;
        // What a request waits for before it is answered.
        let end = usize::try_from(required).unwrap();
        world.workers[asked].apply(&world.stream, end).await;
        let [one, two] = &world.workers;
        let (worker, other) = if asked == 0 { (one, two) } else { (two, one) };

        let reply = worker.engine.search(&self.tenant, request.clone()).await.unwrap();
        counts.replies += 1;
        counts.cached += u64::from(reply.served_from == ServedFrom::Cache);
        let context = format!("{} asks {request:?} at {required}, {} applied", self.tenant, worker.applied);
        assert!(reply.catalog_version >= required, "{context}: {reply:?}");
        self.nothing_old_is_shown(&reply, required, &request, &context);
        if !world.are_caches_shared || other.applied <= worker.applied {
            let search = worker.engine.understood(&self.tenant, request.clone());
            let (truth, _) = worker.engine.pipeline().run(&search).await.unwrap();
            nothing_is_missing(&reply, &truth, &context);
            counts.compared += 1;
        }
    }

    /// Every tool of the reply is as it was at the version that could be read, or later.
    fn nothing_old_is_shown(
        &self,
        reply: &SearchReply,
        required: u64,
        request: &SearchRequest,
        context: &str,
    ) {
        let predicate = request.predicate(self.tenant.clone());
        for result in &reply.results {
            let states: Vec<_> =
                self.states.iter().filter(|state| state.key.tool_id() == result.tool_id).collect();
            let first = states.iter().rposition(|state| state.version <= required).unwrap_or_default();
            let is_true = states[first..]
                .iter()
                .filter_map(|state| Some((&state.key, state.tool.as_ref()?)))
                .any(|(key, tool)| tool.description == result.description && predicate.admits(key, tool));
            assert!(is_true, "{context}: shows {} as {:?}", result.tool_id, result.description);
        }
    }
}

/// Asserts that what the same worker finds without a cache stands in the reply, draws apart: a tool may lack
/// that is no better than the last of the answer, or than what stands there in its place. The last is not
/// always the worst: good matches of a hinted domain come first.
fn nothing_is_missing(reply: &SearchReply, truth: &Answer, context: &str) {
    let has = |results: &[SearchResult], wanted: &SearchResult| {
        results.iter().any(|result| result.tool_id == wanted.tool_id)
    };
    let lowest = truth.results.last().map(|result| result.score);
    let in_its_place = reply.results.iter().filter(|result| !has(&truth.results, result));
    let draws: Vec<f32> = in_its_place.map(|result| result.score).chain(lowest).collect();
    for wanted in truth.results.iter().filter(|wanted| !has(&reply.results, wanted)) {
        assert!(
            draws.iter().any(|score| wanted.score - score <= DRAW * score.abs()),
            "{context}: lacks {} of {:?}, has {:?}",
            wanted.tool_id,
            truth.results,
            reply.results
        );
    }
}

/// A threshold that errs lets stale answers live, or kills good ones: it must score a tool exactly as a
/// search does.
#[tokio::test]
async fn a_changed_tool_is_scored_as_a_search_scores_it() {
    let embedder = query_embedder(Arc::new(Hashing::new()), Limits::default());
    let mut engine = Engine::new(embedder, cache(store()), true).unwrap();
    let tenant = Tenant::default();
    let mut tools = Vec::new();
    for (number, (verb, noun)) in
        VERBS.iter().flat_map(|verb| NOUNS.map(|noun| (verb, noun))).enumerate().take(45)
    {
        let place = PLACES[number % PLACES.len()];
        let tool = json!({
            "tool_name": format!("t{number}"),
            "description": format!("{verb} the {noun} {place}. {} {}", noun.repeat(number % 3), place.repeat(number)),
        });
        tools.push(serde_json::from_value::<Tool>(tool).unwrap());
    }
    let vectors = engine.embed(&tools, |_| ()).await.unwrap();
    engine.add(&tenant, tools.iter().cloned().zip(vectors.iter().cloned()).collect()).await.unwrap();
    for query in ["create an issue for a team", "lst invoices. Every week, read the report", "merge"] {
        let request = SearchRequest { top_k: Some(5), ..SearchRequest::new(query) };
        let search = engine.understood(&tenant, request.clone());
        let (_, threshold) = engine.pipeline().run(&search).await.unwrap();
        let threshold = threshold.expect("a full answer of both arms has a threshold");
        let all = engine.understood(&tenant, SearchRequest { top_k: Some(45), ..request });
        let (truth, _) = engine.pipeline().run(&all).await.unwrap();
        let texts = search.query.texts().map(template::query).collect();
        let wanted = engine.pipeline().arms().embedder().embed(Role::Query, texts).await.unwrap();
        let catalog = engine.pipeline().projection().catalog();
        for result in &truth.results {
            let entry = catalog.get(&result.tool_id, &Predicate::tenant(tenant.clone())).unwrap();
            let place = tools.iter().position(|tool| tool.tool_name == result.tool_name).unwrap();
            let changed = ChangedTool {
                point_id: entry.key.point_id(),
                frequencies: entry.frequencies(),
                stems: entry.stems(),
                cosines: Some(cosines(&wanted, &vectors[place])),
            };
            let score = threshold.score(&changed, &threshold.rescorer(&search.query));
            assert!(
                (score - result.score).abs() < 1e-3,
                "{query:?}, {}: {score}, not {}",
                result.tool_id,
                result.score
            );
        }
    }
}
