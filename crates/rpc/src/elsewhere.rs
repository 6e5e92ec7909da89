use http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};

const OWNER: &str = "ery-store-owner";
const PART: &str = "ery-store-part";
const PARTS: &str = "ery-store-parts";

/// What a replica that does not own the part of the data which a call is about says in its refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The replica that owns it, as far as this one knows.
    pub owner: String,
    pub part: u32,
    /// Into how many the data is divided.
    pub parts: u32,
}

impl Elsewhere {
    /// Adds it to the metadata of a refusal.
    pub fn write(&self, metadata: &mut MetadataMap) {
        if let Ok(owner) = MetadataValue::try_from(&self.owner) {
            metadata.insert(OWNER, owner);
            metadata.insert(PART, self.part.into());
            metadata.insert(PARTS, self.parts.into());
        }
    }

    /// Returns it if a refusal's headers have it.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name)?.to_str().ok();
        let (owner, part, parts) = (text(OWNER)?, text(PART)?, text(PARTS)?);
        let parts = parts.parse().ok().filter(|parts| *parts > 0)?;
        Some(Self { owner: owner.to_owned(), part: part.parse().ok()?, parts })
    }

    /// Returns whether a refusal says that the part is elsewhere.
    pub fn is_in(status: &tonic::Status) -> bool {
        status.metadata().contains_key(OWNER)
    }
}
