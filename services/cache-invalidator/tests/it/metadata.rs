//! The cached metadata of tools that changed: it is dropped.

use toolweaver_testkit::wait::until;

use crate::support::{SOON, World, stop, tool};

#[tokio::test]
async fn the_metadata_of_changed_tools_is_dropped_whatever_its_version_and_no_other() {
    let world = World::start().await;
    let (changed, removed, untouched) = (tool("github", "a"), tool("chat", "a"), tool("github", "b"));
    let cached = async |tool, version| world.cache().tool_metadata.get::<String>(tool, version).await;
    for (tool, version) in [(&changed, 7), (&removed, 8), (&untouched, 9)] {
        until("it is in Redis", SOON, async || {
            world.cache().tool_metadata.put(tool, version, &"about it").await;
            cached(tool, version).await.is_some()
        })
        .await;
    }

    let invalidator = world.invalidator().await;
    world.indexed("indexed.v1.acme.github.a").await;
    let last = world.indexed("indexed.v1.acme.chat.a").await;
    world.until_version("acme", last).await;
    // The version is there, so the metadata is gone.
    assert_eq!(cached(&changed, 7).await, None);
    assert_eq!(cached(&removed, 8).await, None);
    assert_eq!(cached(&untouched, 9).await.unwrap(), "about it");
    stop(invalidator).await;
}
