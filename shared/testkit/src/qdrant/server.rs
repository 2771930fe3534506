//! Collections, aliases, and which collection a call is about.

use std::collections::BTreeMap;

use ::qdrant_client::qdrant::{
    self as api, CollectionExists, CollectionOperationResponse, ListAliasesResponse, PointsOperationResponse,
    alias_operations::Action,
};
use tonic::Status;

use super::{collection::Collection, validation};

/// Everything a server stores.
#[derive(Debug, Default, Clone)]
pub(super) struct Server {
    collections: BTreeMap<String, Collection>,
    /// Alias to collection.
    aliases: BTreeMap<String, String>,
}

#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "all methods have one shape"
)]
impl Server {
    /// Counts the points that a search can find, over all collections.
    pub(super) fn points_with_vectors(&self) -> usize {
        self.collections.values().map(Collection::points_with_vectors).sum()
    }

    pub(super) fn health_check(
        &mut self,
        _: api::HealthCheckRequest,
    ) -> Result<api::HealthCheckReply, Status> {
        let (title, version) = ("in-process double".to_owned(), "1.19.0".to_owned());
        Ok(api::HealthCheckReply { title, version, commit: None })
    }

    pub(super) fn create(
        &mut self,
        request: api::CreateCollection,
    ) -> Result<CollectionOperationResponse, Status> {
        validation::new_collection(&request)?;
        let name = request.collection_name.clone();
        if self.collections.contains_key(&name) || self.aliases.contains_key(&name) {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        self.collections.insert(name, Collection::new(request)?);
        Ok(done(true))
    }

    pub(super) fn delete(
        &mut self,
        request: api::DeleteCollection,
    ) -> Result<CollectionOperationResponse, Status> {
        validation::collection_name(&request.collection_name)?;
        let removed = self.collections.remove(&request.collection_name).is_some();
        self.aliases.retain(|_, collection| *collection != request.collection_name);
        Ok(done(removed))
    }

    pub(super) fn describe(
        &mut self,
        request: api::GetCollectionInfoRequest,
    ) -> Result<api::GetCollectionInfoResponse, Status> {
        let info = self.collection(&request.collection_name)?.info();
        Ok(api::GetCollectionInfoResponse { result: Some(info), time: 0.0 })
    }

    pub(super) fn list(
        &mut self,
        _: api::ListCollectionsRequest,
    ) -> Result<api::ListCollectionsResponse, Status> {
        let collections =
            self.collections.keys().map(|name| api::CollectionDescription { name: name.clone() }).collect();
        Ok(api::ListCollectionsResponse { collections, time: 0.0 })
    }

    pub(super) fn exists(
        &mut self,
        request: api::CollectionExistsRequest,
    ) -> Result<api::CollectionExistsResponse, Status> {
        validation::collection_name(&request.collection_name)?;
        let exists = self.collection(&request.collection_name).is_ok();
        Ok(api::CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 })
    }

    /// Applies all actions or none.
    pub(super) fn change_aliases(
        &mut self,
        request: api::ChangeAliases,
    ) -> Result<CollectionOperationResponse, Status> {
        let mut aliases = self.aliases.clone();
        for operation in request.actions {
            match operation.action {
                Some(Action::CreateAlias(create)) => {
                    if !self.collections.contains_key(&create.collection_name) {
                        return Err(missing(&create.collection_name));
                    }
                    if self.collections.contains_key(&create.alias_name) {
                        return Err(Status::already_exists(format!(
                            "Wrong input: Collection `{}` already exists!",
                            create.alias_name
                        )));
                    }
                    // An alias that exists is moved.
                    aliases.insert(create.alias_name, create.collection_name);
                }
                Some(Action::RenameAlias(rename)) => {
                    let collection = aliases.remove(&rename.old_alias_name).ok_or_else(|| {
                        Status::not_found(format!(
                            "Not found: Alias {} does not exists!",
                            rename.old_alias_name
                        ))
                    })?;
                    aliases.insert(rename.new_alias_name, collection);
                }
                Some(Action::DeleteAlias(delete)) => {
                    aliases.remove(&delete.alias_name);
                }
                None => return Err(Status::invalid_argument("Malformed AliasOperation type")),
            }
        }
        self.aliases = aliases;
        Ok(done(true))
    }

    pub(super) fn list_aliases(&mut self, _: api::ListAliasesRequest) -> Result<ListAliasesResponse, Status> {
        Ok(self.aliases_where(|_| true))
    }

    pub(super) fn list_aliases_of(
        &mut self,
        request: api::ListCollectionAliasesRequest,
    ) -> Result<ListAliasesResponse, Status> {
        self.collection(&request.collection_name)?;
        Ok(self.aliases_where(|collection| collection == request.collection_name))
    }

    pub(super) fn create_field_index(
        &mut self,
        request: api::CreateFieldIndexCollection,
    ) -> Result<PointsOperationResponse, Status> {
        self.collection(&request.collection_name)?.create_field_index(request)
    }

    pub(super) fn upsert(&mut self, request: api::UpsertPoints) -> Result<PointsOperationResponse, Status> {
        self.collection(&request.collection_name)?.upsert(request)
    }

    pub(super) fn delete_points(
        &mut self,
        request: api::DeletePoints,
    ) -> Result<PointsOperationResponse, Status> {
        self.collection(&request.collection_name)?.delete(request)
    }

    pub(super) fn get(&mut self, request: api::GetPoints) -> Result<api::GetResponse, Status> {
        self.collection(&request.collection_name)?.get(request)
    }

    pub(super) fn scroll(&mut self, request: api::ScrollPoints) -> Result<api::ScrollResponse, Status> {
        self.collection(&request.collection_name)?.scroll(request)
    }

    pub(super) fn count(&mut self, request: api::CountPoints) -> Result<api::CountResponse, Status> {
        self.collection(&request.collection_name)?.count(&request)
    }

    pub(super) fn query(&mut self, request: api::QueryPoints) -> Result<api::QueryResponse, Status> {
        self.collection(&request.collection_name)?.query(request)
    }

    pub(super) fn query_batch(
        &mut self,
        request: api::QueryBatchPoints,
    ) -> Result<api::QueryBatchResponse, Status> {
        self.collection(&request.collection_name)?.query_batch(request)
    }

    /// Returns the collection with this name or alias.
    fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        validation::collection_name(name)?;
        let resolved = self.aliases.get(name).map_or(name, String::as_str);
        self.collections.get_mut(resolved).ok_or_else(|| missing(name))
    }

    fn aliases_where(&self, wanted: impl Fn(&str) -> bool) -> ListAliasesResponse {
        let aliases = self.aliases.iter().filter(|(_, collection)| wanted(collection));
        let aliases = aliases.map(|(alias, collection)| api::AliasDescription {
            alias_name: alias.clone(),
            collection_name: collection.clone(),
        });
        ListAliasesResponse { aliases: aliases.collect(), time: 0.0 }
    }
}

fn missing(collection: &str) -> Status {
    Status::not_found(format!("Not found: Collection `{collection}` doesn't exist!"))
}

const fn done(result: bool) -> CollectionOperationResponse {
    CollectionOperationResponse { result, time: 0.0 }
}
