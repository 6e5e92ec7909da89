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

/// A place for sets of backups, each under its id.
#[derive(Debug)]
pub(crate) struct Target {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Target {
    /// Opens the place that the settings name, if they name one. Nothing is sent yet.
    pub(crate) fn open(settings: &settings::Backup) -> Result<Option<Self>, OpenError> {
        let Some(url) = &settings.url else { return Ok(None) };
        let failed = |source| OpenError::BackupTarget { source };
        let parsed = url::Url::parse(url).expect("validated as an address");
        if parsed.scheme() == "file" {
            let folder = parsed.path();
            std::fs::create_dir_all(folder)
                .map_err(|source| OpenError::Io { path: folder.into(), source })?;
            let local = LocalFileSystem::new_with_prefix(folder).map_err(failed)?;
            return Ok(Some(Self { objects: Arc::new(local), prefix: Path::default() }));
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
        Ok(Some(Self { objects, prefix }))
    }

    fn path(&self, set: &str, name: &str) -> Path {
        self.prefix.clone().join(set).join(name)
    }

    /// Sends a file, in parts, so that its size does not matter.
    pub(crate) async fn put(
        &self,
        set: &str,
        name: &str,
        from: &FilePath,
    ) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: from.to_owned(), source };
        let object = self.path(set, name);
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
        set: &str,
        name: &str,
        to: &FilePath,
    ) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: to.to_owned(), source };
        let mut bytes = self.objects.get(&self.path(set, name)).await?.into_stream();
        let mut file = File::create(to).await.map_err(io)?;
        while let Some(part) = bytes.try_next().await? {
            file.write_all(&part).await.map_err(io)?;
        }
        file.sync_all().await.map_err(io)
    }

    pub(crate) async fn put_manifest(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(manifest).expect("plain structs of text and numbers");
        self.objects.put(&self.path(&manifest.id, MANIFEST), text.into()).await?;
        Ok(())
    }

    /// Writes a small file beside the sets.
    pub(crate) async fn put_beside(&self, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.objects.put(&self.prefix.clone().join(name), bytes.into()).await?;
        Ok(())
    }

    /// Reads a small file beside the sets, if it is there.
    pub(crate) async fn beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        match self.objects.get(&self.prefix.clone().join(name)).await {
            Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn manifest(&self, set: &str) -> Result<Manifest, BackupError> {
        let unknown = || BackupError::Unknown { id: set.to_owned() };
        if set.is_empty() || !set.chars().all(|letter| letter.is_ascii_alphanumeric()) {
            return Err(unknown());
        }
        let bytes = match self.objects.get(&self.path(set, MANIFEST)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&bytes).map_err(|error| BackupError::Damaged {
            name: MANIFEST.to_owned(),
            problem: error.to_string(),
        })
    }

    /// Returns every whole set, the newest first.
    pub(crate) async fn manifests(&self) -> Result<Vec<Manifest>, BackupError> {
        let listed = self.objects.list_with_delimiter(Some(&self.prefix)).await?;
        let mut manifests = Vec::new();
        for folder in listed.common_prefixes {
            let Some(set) = folder.filename() else { continue };
            match self.manifest(set).await {
                Ok(manifest) => manifests.push(manifest),
                // Broken off, or somebody else's.
                Err(BackupError::Unknown { .. }) => {}
                Err(error @ BackupError::Damaged { .. }) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "{set} is passed over: it is no backup that can be read");
                }
                Err(error) => return Err(error),
            }
        }
        manifests.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        Ok(manifests)
    }

    /// Deletes a set, its manifest first, so that what is left of it is no set.
    pub(crate) async fn delete(&self, set: &str) -> Result<(), BackupError> {
        self.objects.delete(&self.path(set, MANIFEST)).await?;
        let folder = self.prefix.clone().join(set);
        let rest: Vec<Path> =
            self.objects.list(Some(&folder)).map_ok(|object| object.location).try_collect().await?;
        let mut deleted = self.objects.delete_stream(futures::stream::iter(rest).map(Ok).boxed());
        while deleted.try_next().await?.is_some() {}
        Ok(())
    }
}
