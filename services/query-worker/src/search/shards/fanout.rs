//! Both arms under one predicate, wherever the indexes are: in this worker, or in those that own the domains.

use futures_util::future::join_all;
use toolweaver_contracts::{Domain, Predicate, Vector};
use tracing::warn;

use super::{
    Question, Searcher,
    arms::Answer,
    deadline::Deadline,
    stages::{self, Stage, Stages},
};
use crate::{
    projection::LexicalAnswer,
    ranker::{fusion::DenseAnswer, gather},
    shards::{ShardAnswer, ShardRequest, Shards},
};

/// What both arms found, and what was missing.
pub(super) struct Arms {
    pub(super) lexical: Option<LexicalAnswer>,
    pub(super) dense: Option<DenseAnswer>,
    /// Parts and owners that did not answer.
    pub(super) missing: Vec<String>,
}

impl Searcher {
    /// Asks both arms under a predicate. `words` is the lexical answer of this worker, where it is there already.
    pub(super) async fn arms(
        &self,
        question: &Question<'_>,
        predicate: &Predicate,
        words: Option<Answer<LexicalAnswer>>,
        stages: &mut Stages,
    ) -> Arms {
        let Some(shards) = &self.shards else {
            return self.local(question, predicate, words, stages).await;
        };
        let division = shards.divide(self.domains_of(predicate));
        let request = ShardRequest {
            query: question.text.clone().into_owned(),
            parts: question.parts.clone(),
            vectors: question.embedded.iter().flatten().cloned().map(Vector).collect(),
            predicate: predicate.clone(),
        };
        let local = async {
            if division.local { Some(self.local(question, predicate, words, stages).await) } else { None }
        };
        let remote = division
            .remote
            .iter()
            .map(|(subject, domains)| self.ask_owner(shards, subject, domains, &request, question.deadline));
        let (local, remote) = tokio::join!(local, join_all(remote));
        let mut missing: Vec<String> = division.orphaned.iter().map(domain_missing).collect();
        let (mut lexical, mut dense) = (Vec::new(), Vec::new());
        for arms in local.into_iter().chain(remote) {
            missing.extend(arms.missing);
            lexical.extend(arms.lexical);
            dense.extend(arms.dense);
        }
        Arms { lexical: gather::lexical(lexical), dense: gather::dense(dense), missing }
    }

    /// What another worker asks of this one: its own domains only.
    pub(crate) async fn answer_shard(&self, request: ShardRequest) -> ShardAnswer {
        let deadline = self.patience.begin();
        let lexical = self.lexical(&request.query, &request.parts, &request.predicate, deadline).await.ok();
        let vectors: Vec<Vec<f32>> = request.vectors.into_iter().map(|vector| vector.0).collect();
        let dense = if vectors.is_empty() {
            None
        } else {
            self.dense(&Ok(vectors), &request.predicate, lexical.as_ref(), deadline).await.ok()
        };
        ShardAnswer { lexical, dense }
    }

    /// Both arms over the indexes of this worker.
    async fn local(
        &self,
        question: &Question<'_>,
        predicate: &Predicate,
        words: Option<Answer<LexicalAnswer>>,
        stages: &mut Stages,
    ) -> Arms {
        let lexical = if let Some(words) = words {
            words
        } else {
            let words = self.lexical(&question.text, &question.parts, predicate, question.deadline);
            stages.took(Stage::Lexical, stages::timed(words).await)
        };
        let dense = self.dense(&question.embedded, predicate, lexical.as_ref().ok(), question.deadline);
        let dense = stages.took(Stage::Dense, stages::timed(dense).await);
        let missing = [lexical.as_ref().err(), dense.as_ref().err()].into_iter().flatten();
        let missing = missing.map(|part| (*part).to_owned()).collect();
        Arms { lexical: lexical.ok(), dense: dense.ok(), missing }
    }

    async fn ask_owner(
        &self,
        shards: &Shards,
        subject: &str,
        domains: &[Domain],
        request: &ShardRequest,
        deadline: Deadline,
    ) -> Arms {
        match shards.ask(subject, request, deadline.for_part()).await {
            Ok(answer) => {
                let incomplete =
                    answer.lexical.is_none() || (answer.dense.is_none() && !request.vectors.is_empty());
                let missing =
                    if incomplete { domains.iter().map(domain_missing).collect() } else { Vec::new() };
                Arms { lexical: answer.lexical, dense: answer.dense, missing }
            }
            Err(error) => {
                warn!(?domains, %error, "an owner did not answer");
                Arms { lexical: None, dense: None, missing: domains.iter().map(domain_missing).collect() }
            }
        }
    }

    /// The domains that a predicate is about.
    fn domains_of(&self, predicate: &Predicate) -> Vec<Domain> {
        match &predicate.domain {
            Some(domain) => vec![domain.clone()],
            None => self.projection.catalog().domains(&predicate.tenant),
        }
    }
}

/// How `degraded` names a domain whose owner gave no whole answer.
fn domain_missing(domain: &Domain) -> String {
    format!("domain:{domain}")
}
