//! The gRPC services of a Qdrant server, each method answered by [`Server`] or refused.

use std::sync::Mutex;

use ::qdrant_client::qdrant::{
    self as api, collections_server::Collections, points_server::Points, qdrant_server::Qdrant,
};
use tonic::{Request, Response, Status};

use super::{faults::Faults, server::Server};

/// The state that all connections share.
#[derive(Debug, Default)]
pub(super) struct Service {
    server: Mutex<Server>,
    pub(super) faults: Faults,
}

impl Service {
    pub(super) fn points_with_vectors(&self) -> usize {
        self.server.lock().expect("no thread panics while it holds the lock").points_with_vectors()
    }

    async fn answer<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
        answer: impl FnOnce(&mut Server, Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        self.faults.meet(method).await?;
        // One call at a time: each is atomic, as on the real server.
        let mut server = self.server.lock().expect("no thread panics while it holds the lock");
        answer(&mut server, request.into_inner()).map(Response::new)
    }
}

/// Implements a service: `answered` methods by the method of [`Server`] named after the arrow, `refused` ones
/// not.
macro_rules! service {
    ($service:ident as $prefix:literal {
        answered { $($method:ident($request:ident) -> $reply:ident => $answer:ident;)* }
        refused { $($refused:ident($refused_request:ident) -> $refused_reply:ident;)* }
    }) => {
        #[tonic::async_trait]
        impl $service for Service {
            $(
                async fn $method(
                    &self,
                    request: Request<api::$request>,
                ) -> Result<Response<api::$reply>, Status> {
                    self.answer(concat!($prefix, ".", stringify!($method)), request, Server::$answer).await
                }
            )*
            $(
                async fn $refused(
                    &self,
                    _: Request<api::$refused_request>,
                ) -> Result<Response<api::$refused_reply>, Status> {
                    Err(Status::unimplemented(concat!(
                        "the double does not serve ", $prefix, ".", stringify!($refused)
                    )))
                }
            )*
        }
    };
}

service! { Qdrant as "qdrant" {
    answered {
        health_check(HealthCheckRequest) -> HealthCheckReply => health_check;
    }
    refused {}
}}

service! { Collections as "collections" {
    answered {
        get(GetCollectionInfoRequest) -> GetCollectionInfoResponse => describe;
        list(ListCollectionsRequest) -> ListCollectionsResponse => list;
        create(CreateCollection) -> CollectionOperationResponse => create;
        delete(DeleteCollection) -> CollectionOperationResponse => delete;
        update_aliases(ChangeAliases) -> CollectionOperationResponse => change_aliases;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse => list_aliases_of;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse => list_aliases;
        collection_exists(CollectionExistsRequest) -> CollectionExistsResponse => exists;
    }
    refused {
        update(UpdateCollection) -> CollectionOperationResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest)
            -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}}

service! { Points as "points" {
    answered {
        upsert(UpsertPoints) -> PointsOperationResponse => upsert;
        delete(DeletePoints) -> PointsOperationResponse => delete_points;
        get(GetPoints) -> GetResponse => get;
        create_field_index(CreateFieldIndexCollection) -> PointsOperationResponse => create_field_index;
        scroll(ScrollPoints) -> ScrollResponse => scroll;
        count(CountPoints) -> CountResponse => count;
        query(QueryPoints) -> QueryResponse => query;
        query_batch(QueryBatchPoints) -> QueryBatchResponse => query_batch;
    }
    refused {
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}}
