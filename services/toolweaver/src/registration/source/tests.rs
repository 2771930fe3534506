//! Each form of input, good and bad.

use super::*;

type Seen = Vec<(u64, Result<String, (Option<String>, String)>)>;

fn seen(text: &[u8]) -> Seen {
    let scope = Scope { tenant: Tenant::default(), domain: "shop".parse().unwrap() };
    let mut seen = Vec::new();
    read(text, &scope, |entry| {
        let tool = entry
            .tool
            .map(|prepared| prepared.key.tool_id().to_string())
            .map_err(|bad| (bad.name, bad.fault.pointer.unwrap_or_default()));
        seen.push((entry.line, tool));
        ControlFlow::Continue(())
    })
    .unwrap();
    seen
}

fn good(line: u64, id: &str) -> (u64, Result<String, (Option<String>, String)>) {
    (line, Ok(id.to_owned()))
}

fn faulty(line: u64, name: Option<&str>, pointer: &str) -> (u64, Result<String, (Option<String>, String)>) {
    (line, Err((name.map(str::to_owned), pointer.to_owned())))
}

#[test]
fn reads_each_form_with_the_line_of_each_tool() {
    let lines = b"\n{\"tool_name\":\"a\"}\n\n  {\"tool_name\":\"b\",\"domain\":\"x\"}\n";
    assert_eq!(seen(lines), [good(2, "shop.a"), good(4, "x.b")]);
    let list = b"[\n {\"tool_name\":\"a\"},\n {\"tool_name\":\n\"b\"}, {\"tool_name\":\"c\"}]";
    assert_eq!(seen(list), [good(2, "shop.a"), good(3, "shop.b"), good(4, "shop.c")]);
    let pretty = b"\n{\n  \"tool_name\": \"a\"\n}\n{\n \"tool_name\": \"b\" }\n";
    assert_eq!(seen(pretty), [good(2, "shop.a"), good(5, "shop.b")]);
    assert_eq!(seen(b"{\"tool_name\":\"a\"}"), [good(1, "shop.a")]);
    assert_eq!(seen(b" \n"), []);
    assert_eq!(seen(b"[]"), []);
}

#[test]
fn a_bad_tool_is_told_with_its_place_and_stops_nobody() {
    let text = "{\"tool_name\":\"a\"}\n\
        {\"tool_name\":\"b\",\"parameters\":[]}\n\
        {\"tool_name\":7}\n\
        {\"domain\":\"Not Good\",\"tool_name\":\"c\"}\n\
        {\"description\":\"nameless\"}\n\
        nonsense\n\
        [1]\n\
        {\"tool_name\":\"d\",\"tags\":[\"\"]}\n\
        {\"tool_name\":\"e\"}\n";
    assert_eq!(
        seen(text.as_bytes()),
        [
            good(1, "shop.a"),
            faulty(2, Some("b"), "/parameters"),
            faulty(3, None, "/tool_name"),
            faulty(4, Some("c"), "/domain"),
            faulty(5, None, "/tool_name"),
            faulty(6, None, ""),
            faulty(7, None, ""),
            faulty(8, Some("d"), "/tags/0"),
            good(9, "shop.e"),
        ]
    );
    assert_eq!(
        seen(b"{\"tool_name\":\"\xff\"}\n{\"tool_name\":\"a\"}"),
        [faulty(1, None, ""), good(2, "shop.a")]
    );
}

#[test]
fn broken_json_over_several_lines_is_told_with_its_line() {
    assert_eq!(seen(b"[\n{\"tool_name\":\"a\"},\n{]"), [faulty(3, None, "")]);
    assert_eq!(seen(b"{\n\"tool_name\":\"a\"\n}\n{\n"), [good(1, "shop.a"), faulty(5, None, "")]);
}

#[test]
fn reading_ends_when_the_receiver_says_so() {
    let scope = Scope { tenant: Tenant::default(), domain: Domain::default() };
    for text in [
        &b"{\"tool_name\":\"a\"}\n{\"tool_name\":\"b\"}"[..],
        b"[{\"tool_name\":\"a\"},{\"tool_name\":\"b\"}]",
    ] {
        let mut count = 0;
        read(text, &scope, |_| {
            count += 1;
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!(count, 1);
    }
}
