//! The contracts between services, generated from `proto/`.
//!
//! Generated messages stop in the handlers, which parse them once into domain types.
#![expect(
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    clippy::clone_on_ref_ptr,
    reason = "generated code"
)]

/// What the services' contracts share.
pub mod common {
    pub mod v1 {
        use std::fmt;

        tonic::include_proto!("ery.common.v1");

        /// Shows whose key it is, and never the key.
        impl fmt::Debug for ProviderKey {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("ProviderKey")
                    .field("provider", &self.provider)
                    .finish_non_exhaustive()
            }
        }
    }
}

/// One model turn at a time.
pub mod ai {
    pub mod v1 {
        tonic::include_proto!("ery.ai.v1");
    }
}

/// All durable state.
pub mod store {
    pub mod v1 {
        tonic::include_proto!("ery.store.v1");
    }
}

/// Permission, validation and execution of tool calls.
pub mod tool {
    pub mod v1 {
        tonic::include_proto!("ery.tool.v1");
    }
}

/// All contracts as one encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests {
    use super::{common::v1::ProviderKey, store::v1::SetProviderKeyRequest};

    #[test]
    fn a_key_is_shown_by_nothing() {
        let key = ProviderKey { provider: "openai".into(), key: "sk-canary".into() };
        let request = SetProviderKeyRequest { key: Some(key), ..Default::default() };
        let shown = format!("{request:?} {request:#?}");
        assert!(shown.contains("openai") && !shown.contains("sk-canary"), "{shown}");
    }
}
