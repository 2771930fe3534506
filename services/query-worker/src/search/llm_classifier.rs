//! Language model classifier, the last resort of routing: a model behind an OpenAI-compatible API is asked
//! for the domain.
//!
//! Off unless `ROUTER_LLM_URL` is set. It has a deadline, and only one of the domains it was offered counts
//! as an answer.

use std::{fmt, time::Duration};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tokio::task;
use toolweaver_contracts::Domain;
use tracing::warn;

/// Domains that one request may offer; a longer list is no help to a model, and slow.
const DOMAINS_MAX: usize = 200;
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Language model that chooses a domain where neither lexical hits nor samples are sure.
#[derive(Clone, Args)]
pub struct LlmSettings {
    /// Base URL of an OpenAI-compatible API, such as `http://127.0.0.1:8000/v1`; without it no model is asked
    #[arg(long, env = "ROUTER_LLM_URL", value_name = "URL")]
    pub router_llm_url: Option<String>,
    /// Name of the model
    #[arg(long, env = "ROUTER_LLM_MODEL", value_name = "NAME", default_value = "gpt-4.1-nano")]
    pub router_llm_model: String,
    /// Bearer token of the API
    #[arg(long, env = "ROUTER_LLM_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub router_llm_api_key: Option<String>,
    /// Milliseconds that the model may take; a later answer is not waited for
    #[arg(long, env = "ROUTER_LLM_TIMEOUT_MS", value_name = "MILLISECONDS", default_value_t = 300)]
    pub router_llm_timeout_ms: u64,
}

/// Never shows the key.
impl fmt::Debug for LlmSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmSettings")
            .field("router_llm_url", &self.router_llm_url)
            .field("router_llm_model", &self.router_llm_model)
            .field("router_llm_api_key", &self.router_llm_api_key.as_ref().map(|_| "***"))
            .field("router_llm_timeout_ms", &self.router_llm_timeout_ms)
            .finish()
    }
}

impl LlmSettings {
    /// Returns all faults at once, each a sentence that names the variable.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(url) = &self.router_llm_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            faults.push(format!("ROUTER_LLM_URL must begin with http:// or https://, not {url:?}"));
        }
        if self.router_llm_timeout_ms == 0 {
            faults.push("ROUTER_LLM_TIMEOUT_MS must be at least 1".to_owned());
        }
        faults
    }
}

/// Client of the model. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LlmClassifier {
    agent: ureq::Agent,
    endpoint: String,
    model: String,
    api_key: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

impl LlmClassifier {
    /// `None` where no model is configured.
    pub(crate) fn new(settings: &LlmSettings) -> Option<Self> {
        let url = settings.router_llm_url.as_deref()?;
        let timeout = Duration::from_millis(settings.router_llm_timeout_ms);
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout));
        Some(Self {
            agent: config.build().into(),
            endpoint: format!("{}/chat/completions", url.trim_end_matches('/')),
            model: settings.router_llm_model.clone(),
            api_key: settings.router_llm_api_key.clone(),
        })
    }

    /// Returns the domain that the model takes the request for, or `None`: it knows none, is late, down or
    /// makes one up.
    pub(crate) async fn classify(&self, query: &str, domains: Vec<Domain>) -> Option<Domain> {
        if domains.is_empty() || domains.len() > DOMAINS_MAX {
            return None;
        }
        let (classifier, query) = (self.clone(), query.to_owned());
        let asked = task::spawn_blocking(move || {
            let answer = classifier.ask(&query, &domains)?;
            let named = answer.trim().trim_matches(['"', '\'', '`', '.']);
            Ok(domains.into_iter().find(|domain| domain.as_str() == named))
        });
        match asked.await {
            Ok(Ok(domain)) => domain,
            Ok(Err(error)) => {
                let error: ureq::Error = error;
                warn!(%error, "the language model chose no domain");
                None
            }
            Err(error) => {
                warn!(%error, "the language model chose no domain");
                None
            }
        }
    }

    fn ask(&self, query: &str, domains: &[Domain]) -> Result<String, ureq::Error> {
        let names: Vec<&str> = domains.iter().map(Domain::as_str).collect();
        let instruction = format!(
            "You route requests to groups of tools. Groups: {}. Answer with the one group whose tools serve the request, \
             exactly as it is written here, or with none.",
            names.join(", ")
        );
        let body = json!({
            "model": self.model,
            "temperature": 0,
            "max_tokens": 32,
            "messages": [{ "role": "system", "content": instruction }, { "role": "user", "content": query }],
        });
        let mut request = self.agent.post(&self.endpoint).header("content-type", "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body.to_string())?;
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
        let completion: Completion =
            serde_json::from_str(&text).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        Ok(completion.choices.into_iter().find_map(|choice| choice.message.content).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{Router, routing::post};
    use tokio::net::TcpListener;

    use super::{LlmClassifier, LlmSettings};

    /// A server that answers every request with this text after this time.
    async fn server(status: u16, content: &'static str, after: Duration) -> String {
        let answer = move |body: String| async move {
            assert!(body.contains("weather") && body.contains("github"), "{body}");
            tokio::time::sleep(after).await;
            let body = serde_json::json!({ "choices": [{ "message": { "content": content } }] }).to_string();
            (axum::http::StatusCode::from_u16(status).unwrap(), body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/chat/completions", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn classify(url: String) -> Option<String> {
        let settings = LlmSettings {
            router_llm_url: Some(url),
            router_llm_model: "tiny".to_owned(),
            router_llm_api_key: Some("secret".to_owned()),
            router_llm_timeout_ms: 500,
        };
        assert!(settings.validate().is_empty() && !format!("{settings:?}").contains("secret"));
        let domains = ["weather", "github"].map(|domain| domain.parse().unwrap());
        let classifier = LlmClassifier::new(&settings).unwrap();
        classifier.classify("open a pull request", domains.to_vec()).await.map(|domain| domain.to_string())
    }

    #[tokio::test]
    async fn only_a_known_domain_in_time_is_an_answer() {
        let now = Duration::ZERO;
        assert_eq!(classify(server(200, "`github`.", now).await).await.as_deref(), Some("github"));
        assert_eq!(classify(server(200, "gitlab", now).await).await, None);
        assert_eq!(classify(server(200, "none", now).await).await, None);
        assert_eq!(classify(server(500, "github", now).await).await, None);
        assert_eq!(classify(server(200, "github", Duration::from_secs(5)).await).await, None);
        assert_eq!(classify("http://127.0.0.1:9/v1".to_owned()).await, None);
    }
}
