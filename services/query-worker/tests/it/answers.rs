//! Answers: tools that are found, by whom, and in which form.

use serde_json::{Value, json};
use toolweaver_contracts::{
    Detail, DomainsReply, DomainsRequest, ErrorCode, RoutedBy, SearchReply, SearchRequest, SearchStatus,
    ServedFrom, Shape, Strategy, subjects,
};

use crate::support::{Rig, crowd, ids, tool};

/// Twenty tools about nothing, and these.
async fn catalog(tools: &[toolweaver_contracts::Tool]) -> Rig {
    let rig = Rig::start().await;
    let mut version = 0;
    for (revision, tool) in (1..).zip(crowd(25).iter().chain(tools)) {
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;
    rig
}

#[tokio::test]
async fn the_right_tool_is_first_and_the_reply_tells_the_truth() {
    let pull = tool(
        "createPullRequest",
        "github",
        "Opens a pull request.",
        json!({ "parameters": { "type": "object" } }),
    );
    let issue = tool("list_issues", "github", "Lists the issues of a repository.", json!({}));
    let rig = catalog(&[pull.clone(), issue]).await;

    let request =
        SearchRequest { detail: Detail::Schema, explain: true, ..SearchRequest::new("open a pull request") };
    let reply = rig.search("default", &request).await;
    assert_eq!(ids(&reply)[0], "github.createPullRequest");
    assert_eq!(reply.results[0].tool.as_ref(), Some(&pull));
    let explanation = reply.results[0].explain.as_ref().expect("asked for");
    assert_eq!(explanation.lexical.expect("words in common").rank, 1);
    assert_eq!((reply.status, reply.served_from), (SearchStatus::Matched, ServedFrom::Index));
    assert_eq!((reply.catalog_version, reply.lag_ms, reply.degraded.len()), (27, 0, 0));
    assert_eq!((reply.routed.by, reply.routed.strategy), (RoutedBy::None, Strategy::Hybrid));
    assert_eq!(reply.results.len(), 10);

    let brief =
        SearchRequest { detail: Detail::Name, top_k: Some(1), ..SearchRequest::new("open a pull request") };
    let reply = rig.search("default", &brief).await;
    assert_eq!((reply.results.len(), reply.results[0].description.as_str()), (1, ""));

    let got = rig.get("default", "github.createPullRequest", &[]).await.expect("it exists");
    assert_eq!((got.tool, got.revision, got.catalog_version), (pull, 26, 27));
}

#[tokio::test]
async fn an_exact_name_is_never_lost() {
    let named = tool("zxq-91", "general", "", json!({}));
    let loud = crowd(40).into_iter().map(|mut tool| {
        tool.domain = "loud".parse().expect("a domain");
        tool.description = "Please call the tool now with these words again and again.".to_owned();
        tool
    });
    let tools: Vec<_> = loud.chain([named]).collect();
    let rig = catalog(&tools).await;
    for query in ["zxq-91", "ZXQ 91", "please call the tool zxq91 now with these words", "call zxq_91 again"]
    {
        let reply =
            rig.search("default", &SearchRequest { top_k: Some(3), ..SearchRequest::new(query) }).await;
        assert!(ids(&reply).contains(&"general.zxq-91".to_owned()), "{query}: {:?}", ids(&reply));
    }
    let whole = rig.search("default", &SearchRequest::new("zxq 91")).await;
    assert_eq!(ids(&whole)[0], "general.zxq-91");
}

#[tokio::test]
async fn nobody_sees_what_is_not_theirs() {
    let secret = tool(
        "drop_tables",
        "ops",
        "Drops the tables.",
        json!({ "allowed_roles": ["admin"], "tags": ["danger"] }),
    );
    let rig = catalog(std::slice::from_ref(&secret)).await;
    let other = rig.index("other", &tool("drop_tables", "ops", "Drops other tables.", json!({})), 100).await;
    rig.applied(other).await;

    let query = SearchRequest::new("drop_tables");
    let admin = SearchRequest { roles: vec!["admin".to_owned()], ..query.clone() };
    let none = [
        ("default", query.clone()),
        ("nobody", admin.clone()),
        (
            "default",
            SearchRequest { exclude: vec!["ops.drop_tables".parse().expect("an id")], ..admin.clone() },
        ),
        ("default", SearchRequest { tags: vec!["harmless".to_owned()], ..admin.clone() }),
    ];
    for (tenant, request) in &none {
        let reply = rig.search(tenant, request).await;
        assert!(!ids(&reply).contains(&"ops.drop_tables".to_owned()), "{tenant} {request:?}");
    }
    assert_eq!(rig.search("nobody", &query).await.status, SearchStatus::NothingRelevant);
    assert_eq!(ids(&rig.search("default", &admin).await)[0], "ops.drop_tables");
    let tagged = SearchRequest { tags: vec!["danger".to_owned()], ..admin.clone() };
    assert_eq!(ids(&rig.search("default", &tagged).await), ["ops.drop_tables"]);
    let theirs = rig.search("other", &query).await;
    assert_eq!(theirs.results[0].description, "Drops other tables.");

    assert_eq!(
        rig.get("default", "ops.drop_tables", &[]).await.expect_err("hidden").code,
        ErrorCode::NotFound
    );
    assert_eq!(rig.get("default", "ops.drop_tables", &["admin"]).await.expect("shown").tool, secret);
    let count = async |roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let reply: DomainsReply =
            rig.ask("domains.v1.default", &DomainsRequest { roles }).await.expect("domains");
        reply.tools
    };
    assert_eq!((count(&[]).await, count(&["admin"]).await), (25, 26));
}

#[tokio::test]
async fn few_candidates_are_all_returned_unless_fewer_are_asked_for() {
    let rig = Rig::start().await;
    let mut version = 0;
    for (revision, tool) in (1..).zip(&crowd(15)) {
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;
    let reply = rig.search("default", &SearchRequest::new("thing number 7")).await;
    assert_eq!((reply.results.len(), reply.routed.strategy), (15, Strategy::All));
    assert_eq!(ids(&reply)[0], "filler.filler_7");
    let three = SearchRequest { top_k: Some(3), ..SearchRequest::new("thing number 7") };
    assert_eq!(rig.search("default", &three).await.results.len(), 3);
}

#[tokio::test]
async fn a_hinted_domain_comes_first_and_too_small_a_one_falls_back() {
    let mail = |name: &str| tool(name, "mail", "Sends a message by post to a person.", json!({}));
    let tools = [
        mail("send_letter"),
        mail("send_parcel"),
        mail("send_card"),
        tool("send_sms", "chat", "Sends a message to a person.", json!({})),
    ];
    let rig = catalog(&tools).await;
    let hinted = |domain: &str| SearchRequest {
        domain: Some(domain.parse().expect("a domain")),
        top_k: Some(4),
        ..SearchRequest::new("sends a message to a person")
    };

    let reply = rig.search("default", &hinted("mail")).await;
    assert_eq!((reply.routed.by, reply.routed.fell_back), (RoutedBy::Hint, false));
    assert!(reply.results.iter().all(|result| result.domain.as_str() == "mail"), "{:?}", ids(&reply));

    let reply = rig.search("default", &hinted("chat")).await;
    assert!(reply.routed.fell_back);
    assert_eq!((ids(&reply)[0].as_str(), reply.results.len()), ("chat.send_sms", 4));
}

#[tokio::test]
async fn a_bad_request_is_told_what_and_where() {
    let rig = Rig::start().await;
    for (body, pointer) in [
        (json!({ "query": "  " }), "/query"),
        (json!({}), ""),
        (json!({ "query": "x", "top_k": 0 }), "/top_k"),
        (json!({ "query": "x", "top_k": "ten" }), "/top_k"),
        (json!({ "query": "x", "domain": "Not A Domain" }), "/domain"),
        (json!({ "query": "x", "exclude": ["nodot"] }), "/exclude/0"),
        (json!({ "query": "x", "wait_ms": 999_999 }), "/wait_ms"),
    ] {
        let fault = rig.ask::<SearchReply>("search.v1.default", &body).await.expect_err("it is wrong");
        assert_eq!(
            (fault.code, fault.pointer.as_deref()),
            (ErrorCode::BadRequest, Some(pointer)),
            "{body}: {fault}"
        );
    }
    let fault =
        rig.ask::<SearchReply>("search.v1.ACME", &SearchRequest::new("x")).await.expect_err("it is wrong");
    assert_eq!(fault.code, ErrorCode::BadRequest);
}

#[tokio::test]
async fn a_cached_answer_is_never_older_than_the_catalog() {
    let rig = catalog(&[]).await;
    let request = SearchRequest::new("translate a text");
    let asked = async || rig.search("default", &request).await;
    assert_eq!(asked().await.served_from, ServedFrom::Index);
    assert_eq!(asked().await.served_from, ServedFrom::Cache);

    let mut translate = tool("translate", "words", "Translates a text into French.", json!({}));
    for revision in 100..120 {
        translate.description = format!("Translates a text, edition {revision}.");
        let version = rig.index("default", &translate, revision).await;
        let fresh = SearchRequest { min_version: Some(version), wait_ms: Some(20_000), ..request.clone() };
        let reply = rig.search("default", &fresh).await;
        assert_eq!(reply.results[0].description, translate.description);
        assert!(reply.catalog_version >= version);
    }
    let version = rig.remove("default", &translate, 200).await;
    rig.applied(version).await;
    assert!(!ids(&asked().await).contains(&"words.translate".to_owned()));
    assert_eq!(asked().await.served_from, ServedFrom::Cache);
    assert_eq!(rig.get("default", "words.translate", &[]).await.expect_err("gone").code, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_answer_comes_in_the_shape_and_size_asked_for() {
    let schema = json!({ "type": "object", "properties": { "title": { "type": "string" } } });
    let pull = tool("open_pull", "github", "Opens a pull request.", json!({ "parameters": schema }));
    let long = tool("pull_review", "github", &"Reviews a pull request. ".repeat(100), json!({}));
    let rig = catalog(&[pull, long]).await;
    let plain = SearchRequest { top_k: Some(5), ..SearchRequest::new("open a pull request") };
    let found = rig.search("default", &plain).await;
    assert_eq!((found.shaped.len(), found.budget), (0, None));

    let shaped = SearchRequest { shape: Some(Shape::AnthropicTool), ..plain.clone() };
    let reply = rig.search("default", &shaped).await;
    assert_eq!((reply.results.len(), reply.shaped.len()), (5, 5));
    let definition = json!({ "name": "github__open_pull", "description": "Opens a pull request.", "input_schema": schema });
    assert_eq!(reply.shaped[0], definition);

    let tight = SearchRequest { budget_tokens: Some(400), ..shaped.clone() };
    let reply = rig.search("default", &tight).await;
    let budget = reply.budget.as_ref().expect("asked for");
    assert!(budget.tokens_used <= 400, "{budget:?}");
    assert_eq!((reply.results.len(), reply.shaped.len(), budget.cut.len()), (4, 4, 1));
    assert_eq!(budget.cut[0].tool_id.to_string(), "github.pull_review");
    assert_eq!(ids(&reply)[0], "github.open_pull");

    // Each form is cached for itself.
    for request in [&plain, &shaped, &tight] {
        let again = rig.search("default", request).await;
        assert_eq!(again.served_from, ServedFrom::Cache);
        assert_eq!(
            (!again.shaped.is_empty(), again.budget.is_some()),
            (request.shape.is_some(), request.budget_tokens.is_some())
        );
    }
}

#[tokio::test]
async fn status_says_what_there_is() {
    let rig = catalog(&[]).await;
    let status = rig.status().await;
    assert_eq!((status.ready, status.tools, status.tenants, status.projection_pending), (true, 25, 1, 0));
    let names: Vec<_> = status.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, [subjects::TOOLS_STREAM, subjects::INDEXED_STREAM, subjects::REJECTED_STREAM]);
    let info: Value = rig.ask("$SRV.INFO.toolweaver-query", &json!({})).await.expect("a micro service");
    assert_eq!(info["id"], status.worker.as_str());
    assert_eq!(info["endpoints"].as_array().map(Vec::len), Some(4));
}
