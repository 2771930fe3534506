//! The wire of ToolWeaver: what publishers, agents and the services say to each other over NATS.
//!
//! Here live the types of every message, their limits, the subjects they travel on, and the JSON Schema
//! generated from them. A value of these types is valid: parsing happens once, at the edge, and names the
//! fault by JSON pointer. Here does **not** live: any connection, stream, storage or ranking.

mod catalog;
mod decode;
mod event;
mod explain;
mod fault;
pub mod identifiers;
mod indexed;
pub mod limits;
mod names;
mod predicate;
mod rejection;
pub mod schema;
mod search;
mod shard;
mod status;
pub mod subjects;
mod tool;

pub use catalog::{DomainCount, DomainsReply, DomainsRequest, GetReply, GetRequest, VersionsAnnounced};
pub use decode::{decode, encode};
pub use event::ToolEvent;
pub use explain::{
    AppliedFilters, ArmScore, Contributions, Explanation, MatchedTerm, RouteCandidate, SearchExplanation,
    SearchedTerm,
};
pub use fault::{ErrorBody, ErrorCode, Fault};
pub use indexed::{IndexedEvent, TEXT_VECTOR, Vector};
pub use names::{Domain, NameError, Tenant, ToolId, ToolKey, ToolName};
pub use predicate::Predicate;
pub use rejection::{Original, Rejection};
pub use search::{
    Budget, CutTool, Detail, Routed, RoutedBy, SearchReply, SearchRequest, SearchResult, SearchStatus,
    ServedFrom, Shape, Strategy,
};
pub use shard::{ShardAnnounced, ShardDense, ShardHit, ShardLexical, ShardReply, ShardRequest, ShardScoring};
pub use status::{Health, Part, StatusReply, StatusRequest, StreamStatus};
pub use tool::{Tool, ToolType};
