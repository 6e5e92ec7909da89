//! Where backups are kept: a folder, or a bucket that speaks S3's protocol.

use std::{path::Path as FilePath, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, buffered::BufWriter,
    local::LocalFileSystem, path::Path,
};
use secrecy::ExposeSecret as _;
use tokio::{
    fs::File,
    io::{AsyncWriteExt as _, copy},
};

use crate::{
    domain::backup::Manifest,
    error::{BackupError, OpenError},
    settings,
};

/// The file of a set that says what is in it. Written last: a set without it is not whole.
const MANIFEST: &str = "manifest.json";

/// The folder in which each store has one of its own. No set has such a name.
const STORES: &str = "of-stores";

/// A place for sets of backups, each under its id in the folder of the store that made it. Sets from
/// before that stand beside the folder of all stores.
#[derive(Debug)]
pub(crate) struct Target {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The store that writes.
    store: String,
}

impl Target {
    /// Opens the place that the settings name, if they name one. Nothing is sent yet.
    pub(crate) fn open(
        settings: &settings::Backup,
        store: &str,
    ) -> Result<Option<Self>, OpenError> {
        let store = store.to_owned();
        let Some(url) = &settings.url else { return Ok(None) };
        let failed = |source| OpenError::BackupTarget { source };
        let parsed = url::Url::parse(url).expect("validated as an address");
        if parsed.scheme() == "file" {
            let folder = parsed.path();
            std::fs::create_dir_all(folder)
                .map_err(|source| OpenError::Io { path: folder.into(), source })?;
            let local = LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
            return Ok(Some(Self { objects: Arc::new(local), prefix: Path::default(), store }));
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(parsed.host_str().unwrap_or_default())
            .with_region(&settings.s3_region);
        if let Some(endpoint) = &settings.s3_endpoint {
            let is_in_the_clear = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint).with_allow_http(is_in_the_clear);
        }
        if let (Some(id), Some(secret)) =
            (&settings.s3_access_key_id, &settings.s3_secret_access_key)
        {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
        }
        let objects = Arc::new(builder.build().map_err(failed)?);
        let prefix = Path::from(parsed.path().trim_matches('/'));
        Ok(Some(Self { objects, prefix, store }))
    }

    /// Returns the folder of a store's sets; of those that name none, for an empty name.
    fn of(&self, store: &str) -> Path {
        if store.is_empty() {
            self.prefix.clone()
        } else {
            self.prefix.clone().join(STORES).join(store)
        }
    }

    fn path(&self, store: &str, set: &str, name: &str) -> Path {
        self.of(store).join(set).join(name)
    }

    /// Sends a file, in parts, so that its size does not matter.
    pub(crate) async fn put(
        &self,
        set: &str,
        name: &str,
        from: &FilePath,
    ) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: from.to_owned(), source };
        let object = self.path(&self.store, set, name);
        let mut file = File::open(from).await.map_err(io)?;
        let mut upload = BufWriter::new(Arc::clone(&self.objects), object.clone());
        let written = copy(&mut file, &mut upload).await.map_err(io)?;
        upload.shutdown().await.map_err(io)?;
        let stands = self.objects.head(&object).await?.size;
        if stands == written {
            Ok(())
        } else {
            Err(BackupError::Damaged { name: name.to_owned(), problem: "it was cut off".into() })
        }
    }

    /// Fetches a file of a set.
    pub(crate) async fn get(
        &self,
        set: &Manifest,
        name: &str,
        to: &FilePath,
    ) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: to.to_owned(), source };
        let mut bytes =
            self.objects.get(&self.path(&set.store, &set.id, name)).await?.into_stream();
        let mut file = File::create(to).await.map_err(io)?;
        while let Some(part) = bytes.try_next().await? {
            file.write_all(&part).await.map_err(io)?;
        }
        file.sync_all().await.map_err(io)
    }

    pub(crate) async fn put_manifest(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest).expect("plain structs of text and numbers");
        self.objects.put(&self.path(&self.store, &manifest.id, MANIFEST), text.into()).await?;
        Ok(())
    }

    /// Writes a small file beside the store's sets.
    pub(crate) async fn put_beside(&self, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.objects.put(&self.of(&self.store).join(name), bytes.into()).await?;
        Ok(())
    }

    /// Reads a small file beside the sets of each store, wherever it is there.
    pub(crate) async fn beside(&self, name: &str) -> Result<Vec<Vec<u8>>, BackupError> {
        let mut found = Vec::new();
        for store in self.everybody().await? {
            match self.objects.get(&self.of(&store).join(name)).await {
                Ok(file) => found.push(file.bytes().await?.to_vec()),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Returns the stores that have written here, and an empty name for sets that name none.
    pub(crate) async fn everybody(&self) -> Result<Vec<String>, BackupError> {
        let listed =
            self.objects.list_with_delimiter(Some(&self.prefix.clone().join(STORES))).await?;
        let names =
            listed.common_prefixes.iter().filter_map(|folder| Some(folder.filename()?.to_owned()));
        Ok(std::iter::once(String::new()).chain(names).collect())
    }

    async fn manifest(&self, store: &str, set: &str) -> Result<Option<Manifest>, BackupError> {
        if set.is_empty() || !set.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let bytes = match self.objects.get(&self.path(store, set, MANIFEST)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let read: Result<Manifest, _> = serde_json::from_slice(&bytes);
        let manifest = read.map_err(|error| BackupError::Damaged {
            name: MANIFEST.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Some(Manifest { store: store.to_owned(), ..manifest }))
    }

    /// Returns the sets of an id, this store's first; of one store alone, if it is named. At least one.
    pub(crate) async fn named(
        &self,
        set: &str,
        of: Option<&str>,
    ) -> Result<Vec<Manifest>, BackupError> {
        let mut stores = match of {
            Some(store) => vec![store.to_owned()],
            None => self.everybody().await?,
        };
        stores.sort_by_key(|store| *store != self.store);
        let mut found = Vec::new();
        for store in stores {
            found.extend(self.manifest(&store, set).await?);
        }
        if found.is_empty() { Err(BackupError::Unknown { id: set.to_owned() }) } else { Ok(found) }
    }

    /// Returns every whole set of every store, the newest first.
    pub(crate) async fn manifests(&self) -> Result<Vec<Manifest>, BackupError> {
        let mut all = Vec::new();
        for store in self.everybody().await? {
            all.extend(self.manifests_of(&store).await?);
        }
        all.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        Ok(all)
    }

    /// Returns every whole set of this store.
    pub(crate) async fn own(&self) -> Result<Vec<Manifest>, BackupError> {
        self.manifests_of(&self.store).await
    }

    async fn manifests_of(&self, store: &str) -> Result<Vec<Manifest>, BackupError> {
        let listed = self.objects.list_with_delimiter(Some(&self.of(store))).await?;
        let mut manifests = Vec::new();
        for folder in listed.common_prefixes {
            let Some(set) = folder.filename() else { continue };
            match self.manifest(store, set).await {
                // Broken off, or somebody else's.
                Ok(found) => manifests.extend(found),
                Err(error @ BackupError::Damaged { .. }) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "{set} is passed over: it is no backup that can be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(manifests)
    }

    /// Deletes a set, its manifest first, so that what is left of it is no set.
    pub(crate) async fn delete(&self, set: &Manifest) -> Result<(), BackupError> {
        match self.objects.delete(&self.path(&set.store, &set.id, MANIFEST)).await {
            // Two stores may let go of a third one's.
            Err(object_store::Error::NotFound { .. }) => {}
            deleted => deleted?,
        }
        let folder = self.of(&set.store).join(set.id.as_str());
        let rest: Vec<Path> =
            self.objects.list(Some(&folder)).map_ok(|object| object.location).try_collect().await?;
        let mut deleted = self.objects.delete_stream(futures::stream::iter(rest).map(Ok).boxed());
        loop {
            match deleted.try_next().await {
                Ok(Some(_)) | Err(object_store::Error::NotFound { .. }) => {}
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
