//! Ends that nobody planned, and what the next start finds.

use serde_json::json;

use crate::support::{Up, With, json_lines, stop_server};

const COUNT: usize = 500;

#[test]
fn a_killed_up_comes_back_with_everything_and_embeds_nothing_again() {
    let data_dir = tempfile::tempdir().unwrap();
    let up = Up::start(&data_dir, With::Hashing);
    up.run_with(&["register", "-", "--wait"], &json_lines("many", COUNT)).expect_code(0);
    #[expect(clippy::cast_precision_loss, reason = "500 is exact")]
    let all = 2.0 * COUNT as f64; // Each tool is two passages.
    assert!((up.metric("toolweaver_tool_vectors_total") - all).abs() < 0.5);
    up.run(&["remove", "many.tool_7", "--wait"]).expect_code(0);
    up.kill();

    let up = Up::start(&data_dir, With::Hashing);
    let domains = up.run(&["domains"]).expect_code(0).json();
    assert_eq!(domains["tools"], COUNT - 1, "ready means that all of it can be found");
    up.run(&["get", "many.tool_7"]).expect_code(3);
    // Events that were in flight when it died are delivered again, and found done.
    assert!(up.metric("toolweaver_tool_vectors_total") < 0.5);
    assert_eq!(up.terminate(), Some(0));
    stop_server(data_dir.path());
}

#[test]
fn a_stop_in_the_middle_of_the_work_loses_nothing() {
    let data_dir = tempfile::tempdir().unwrap();
    let up = Up::start(&data_dir, With::Model);
    // Acknowledged by TOOLS and hardly begun: the model takes seconds for so many.
    up.run_with(&["register", "-"], &json_lines("many", COUNT)).expect_code(0);
    assert_eq!(up.terminate(), Some(0));

    let up = Up::start(&data_dir, With::Model);
    up.run_with(&["register", "-", "--wait"], &json_lines("one", 1)).expect_code(0);
    // Two registrations make the command wait for everything before them.
    up.run_with(&["register", "-", "--wait"], &json_lines("two", 2)).expect_code(0);
    let domains = up.run(&["domains"]).expect_code(0).json();
    assert!(
        domains["domains"].as_array().unwrap().contains(&json!({ "domain": "many", "tools": COUNT })),
        "{domains}"
    );
    assert_eq!(up.terminate(), Some(0));
}
