//! Makes the collection of a model, checks the one that exists, and points the alias at it.

use std::{collections::HashSet, sync::Arc};

use ::qdrant_client::{
    Qdrant as Client,
    qdrant::{
        CollectionInfo, CreateAliasBuilder, CreateCollection, CreateCollectionBuilder,
        CreateFieldIndexCollectionBuilder, Distance, FieldType, IntegerIndexParamsBuilder,
        KeywordIndexParamsBuilder, VectorParamsBuilder, VectorsConfigBuilder,
        payload_index_params::IndexParams, vectors_config,
    },
};
use toolweaver_contracts::TEXT_VECTOR;

use crate::{
    StoreError,
    qdrant::{COLLECTION_TIMEOUT, Qdrant, payload::field},
};

/// The outcome of [`Qdrant::ensure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// The collection was not there and is now: empty, to be filled from TOOLS.
    Created,
    /// The collection was there and fits the model.
    Existed,
}

impl Qdrant {
    /// Makes the collection, its indexes and the alias where they are missing, and checks that the collection
    /// fits the model. Workers may call it at the same time.
    ///
    /// An alias that exists stays where it points: see [`Qdrant::activate`].
    pub async fn ensure(&self) -> Result<Ensured, StoreError> {
        let ensured = if self.exists().await? { Ensured::Existed } else { self.create().await? };
        let indexed = self.check().await?;
        self.create_indexes(&indexed).await?;
        if self.active_collection().await?.is_none() {
            self.activate().await?;
        }
        Ok(ensured)
    }

    /// Points the alias at this model's collection, atomically. Call it once the collection is filled.
    pub async fn activate(&self) -> Result<(), StoreError> {
        // Creating an alias that exists moves it.
        let request = CreateAliasBuilder::new(&self.collection, &self.config.qdrant_alias);
        self.within(
            COLLECTION_TIMEOUT,
            "set alias",
            |client| async move { client.create_alias(request).await },
        )
        .await?;
        Ok(())
    }

    /// Returns the collection that the alias points at, if there is an alias.
    pub async fn active_collection(&self) -> Result<Option<String>, StoreError> {
        let answer = self
            .within(COLLECTION_TIMEOUT, "list aliases", |client| async move { client.list_aliases().await })
            .await?;
        let alias = answer.aliases.into_iter().find(|alias| alias.alias_name == self.config.qdrant_alias);
        Ok(alias.map(|alias| alias.collection_name))
    }

    /// Deletes the collection with all that is in it, and the alias if it points at it. Meant for a model no
    /// longer used.
    pub async fn delete_collection(&self) -> Result<(), StoreError> {
        let name = &self.collection;
        let request = |client: Arc<Client>| async move { client.delete_collection(name).await };
        self.within(COLLECTION_TIMEOUT, "delete collection", request).await?;
        Ok(())
    }

    async fn exists(&self) -> Result<bool, StoreError> {
        let name = &self.collection;
        let request = |client: Arc<Client>| async move { client.collection_exists(name).await };
        self.within(COLLECTION_TIMEOUT, "look for collection", request).await
    }

    async fn create(&self) -> Result<Ensured, StoreError> {
        let definition = self.definition();
        let request = |client: Arc<Client>| async move { client.create_collection(definition).await };
        match self.within(COLLECTION_TIMEOUT, "create collection", request).await {
            Ok(_) => {
                tracing::info!(collection = %self.collection, dims = self.dims, "collection created");
                Ok(Ensured::Created)
            }
            // Another worker was faster: then it is there now, whatever the error says.
            Err(error) => {
                if self.exists().await? {
                    Ok(Ensured::Existed)
                } else {
                    Err(error)
                }
            }
        }
    }

    fn definition(&self) -> CreateCollection {
        let mut vectors = VectorsConfigBuilder::default();
        // Named, so that a point may lack it (a tombstone) and another vector may join it later.
        vectors.add_named_vector_params(
            TEXT_VECTOR,
            VectorParamsBuilder::new(self.dims as u64, Distance::Cosine),
        );
        let mut request = CreateCollectionBuilder::new(&self.collection).vectors_config(vectors);
        if let Some(shards) = self.config.qdrant_shard_number {
            request = request.shard_number(shards.get());
        }
        if let Some(copies) = self.config.qdrant_replication_factor {
            request = request.replication_factor(copies.get());
        }
        request.build()
    }

    /// Returns why no point of this model can be stored, if the collection is why: to the server each of them
    /// looks wrong by itself then.
    pub(super) async fn collection_fault(&self) -> Option<StoreError> {
        let fault = self.check().await.err()?;
        matches!(fault, StoreError::Shape { .. } | StoreError::MissingCollection { .. }).then_some(fault)
    }

    /// Checks that the collection fits the model; gives the fields that have an index.
    async fn check(&self) -> Result<HashSet<String>, StoreError> {
        let name = &self.collection;
        let request = |client: Arc<Client>| async move { client.collection_info(name).await };
        let answer = self.within(COLLECTION_TIMEOUT, "describe collection", request).await?;
        let info = answer.result.unwrap_or_default();
        self.check_shape(&info)?;
        Ok(info.payload_schema.into_keys().collect())
    }

    fn check_shape(&self, info: &CollectionInfo) -> Result<(), StoreError> {
        let expected = shape(TEXT_VECTOR, self.dims as u64, Distance::Cosine);
        let config = info.config.as_ref().and_then(|config| config.params.as_ref());
        let found = match config.and_then(|params| params.vectors_config.as_ref()?.config.as_ref()) {
            Some(vectors_config::Config::ParamsMap(vectors)) => vectors.map.get(TEXT_VECTOR).map_or_else(
                || format!("no vector named {TEXT_VECTOR:?}"),
                |found| shape(TEXT_VECTOR, found.size, found.distance()),
            ),
            Some(vectors_config::Config::Params(found)) => shape("", found.size, found.distance()),
            None => "no vectors".to_owned(),
        };
        if found == expected {
            return Ok(());
        }
        Err(StoreError::Shape { collection: self.collection.clone(), expected, found })
    }

    /// Creates the indexes that are missing: a filter applies inside the index walk only where its field has
    /// an index, and a strict server refuses others.
    async fn create_indexes(&self, indexed: &HashSet<String>) -> Result<(), StoreError> {
        let keyword = || IndexParams::from(KeywordIndexParamsBuilder::default());
        // A domain is a shard: its points lie together on disk.
        let domain = IndexParams::from(KeywordIndexParamsBuilder::default().is_tenant(true));
        // Ranges only: the guard of a write asks for lower revisions, nothing asks for one revision.
        let revision = IndexParams::from(IntegerIndexParamsBuilder::new(false, true));
        let wanted = [
            (field::TENANT, FieldType::Keyword, keyword()),
            (field::DOMAIN, FieldType::Keyword, domain),
            (field::TOOL_TYPE, FieldType::Keyword, keyword()),
            (field::TAGS, FieldType::Keyword, keyword()),
            (field::ALLOWED_ROLES, FieldType::Keyword, keyword()),
            (field::REVISION, FieldType::Integer, revision),
        ];
        for (name, kind, params) in wanted {
            if indexed.contains(name) {
                continue;
            }
            let request = CreateFieldIndexCollectionBuilder::new(&self.collection, name, kind)
                .field_index_params(params)
                .wait(true);
            self.within(COLLECTION_TIMEOUT, "create payload index", |client| async move {
                client.create_field_index(request).await
            })
            .await?;
        }
        Ok(())
    }
}

fn shape(name: &str, dims: u64, distance: Distance) -> String {
    format!("vector {name:?} of {dims} dimensions by {}", distance.as_str_name().to_lowercase())
}
