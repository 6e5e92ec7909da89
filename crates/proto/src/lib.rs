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
        tonic::include_proto!("ery.common.v1");
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
