//! `model pull` against a hub of our own, good and bad.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
};

use toolweaver_testkit::parts;

use crate::support::{Outcome, run};

/// A hub that serves what the function gives for a file of the model, or 404. It ends with the test.
fn hub(file: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that gives up is part of the tests.
            answer(stream, &file).ok();
        }
    });
    url
}

fn answer(mut stream: TcpStream, file: &impl Fn(&str) -> Option<Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.by_ref().find(String::is_empty);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let place = "/sentence-transformers/all-MiniLM-L6-v2/resolve/c9745ed1d9f207416be6d2e6f8de32d1f16199bf/";
    let body = path.strip_prefix(place).and_then(file);
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

fn pull(data_dir: &Path, endpoint: &str) -> Outcome {
    let data_dir = data_dir.to_str().unwrap();
    run(&["model", "pull", "--json", "--data-dir", data_dir, "--endpoint", endpoint], "")
}

#[test]
fn the_model_is_installed_and_not_fetched_twice() {
    let data_dir = tempfile::tempdir().unwrap();
    let endpoint = hub(|file| match std::fs::read(parts::model_dir().join(file)) {
        Ok(content) => Some(content),
        // Files that only tell what we know already may be missing in a copy.
        Err(_) => Some(b"{}".to_vec()),
    });
    let report = pull(data_dir.path(), &endpoint).expect_code(0).json();
    assert_eq!(report["downloaded"], true);
    let model_dir = data_dir.path().join("models/all-MiniLM-L6-v2");
    assert_eq!(report["model_dir"], model_dir.to_str().unwrap());
    assert!(model_dir.join("1_Pooling/config.json").is_file());
    let again = pull(data_dir.path(), "http://127.0.0.1:9").expect_code(0).json();
    assert_eq!(again["downloaded"], false);
    // A file that was damaged since is seen and replaced.
    std::fs::write(model_dir.join("tokenizer.json"), "{}").unwrap();
    let repaired = pull(data_dir.path(), &endpoint).expect_code(0).json();
    assert_eq!(repaired["downloaded"], true);
}

#[test]
fn a_wrong_file_installs_nothing() {
    let data_dir = tempfile::tempdir().unwrap();
    let outcome = pull(data_dir.path(), &hub(|_| Some(b"{}".to_vec()))).expect_code(1).json();
    assert!(outcome["error"]["message"].as_str().unwrap().contains("SHA-256"), "{outcome}");
    assert_eq!(std::fs::read_dir(data_dir.path().join("models")).unwrap().count(), 0);
}

#[test]
fn a_hub_that_does_not_have_it_or_is_not_there_is_told() {
    let data_dir = tempfile::tempdir().unwrap();
    for endpoint in [hub(|_| None), "http://127.0.0.1:9".to_owned()] {
        let outcome = pull(data_dir.path(), &endpoint).expect_code(4).json();
        let error = &outcome["error"];
        assert!(error["message"].as_str().unwrap().contains("config.json"), "{outcome}");
        assert!(error["hint"].as_str().unwrap().contains("--endpoint"), "{outcome}");
    }
}
