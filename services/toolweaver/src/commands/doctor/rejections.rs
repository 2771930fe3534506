//! Changes that the workers gave up although their publisher did nothing wrong: nothing tries them again by
//! itself.

use toolweaver_contracts::{ErrorCode, Rejection, decode, subjects};
use toolweaver_messaging::{publish::last_message, streams};

use super::Finding;
use crate::client::Client;

const CHECK: &str = "rejected changes";
/// Rejections looked at, the newest ones.
const LOOKED_AT_MAX: u64 = 100;

/// Returns a fault if a change was given up and its publisher has not sent another one since.
///
/// None where REJECTED cannot be read: then the finding about the stream says so.
pub(super) async fn check(client: &Client) -> Option<Finding> {
    let state = streams::state(&client.nats, subjects::REJECTED_STREAM).await.ok()?;
    let stream = client.nats.jetstream().get_stream_no_info(subjects::REJECTED_STREAM).await.ok()?;
    let oldest = state.first_sequence.max(state.last_sequence.saturating_sub(LOOKED_AT_MAX - 1));
    let mut given_up = Vec::new();
    for sequence in (oldest..=state.last_sequence).rev() {
        // Some have expired, or were replaced.
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        let Ok(rejection) = decode::<Rejection>(&message.payload) else { continue };
        if rejection.reason.code != ErrorCode::BadRequest && is_the_last_word(client, &rejection).await {
            given_up.push(rejection);
        }
    }
    let Some(newest) = given_up.first() else {
        return Some(Finding::pass(CHECK, "none was given up"));
    };
    let detail = format!("{} given up; the newest is {}: {}", given_up.len(), newest.subject, newest.reason);
    Some(Finding::fail(
        CHECK,
        detail,
        "end the cause, then have each published again: `nats stream view REJECTED` has the originals",
    ))
}

/// Returns whether TOOLS still ends with the rejected event; a later one is judged by itself.
async fn is_the_last_word(client: &Client, rejection: &Rejection) -> bool {
    match last_message(&client.nats, subjects::TOOLS_STREAM, &rejection.subject).await {
        Ok(last) => last.is_some_and(|last| last.stream_sequence == rejection.revision),
        // Not known: better named once too often.
        Err(_) => true,
    }
}
