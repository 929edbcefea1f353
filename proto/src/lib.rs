//! The `.proto` files of Meridian as Rust code: messages of disk and wire, gRPC clients and servers.
//!
//! Each module is one proto package; generated code refers to others by their full path, so the modules nest as
//! packages do. Fields are documented in the `.proto` files, with their units.

#![allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)] // generated code

/// Messages of `meridian.*`, nested as their packages.
pub mod meridian {
    /// Raw hits.
    pub mod hit {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("meridian.hit.v1");
        }
    }
    /// Batches.
    pub mod batch {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("meridian.batch.v1");
        }
    }
    /// Announcements of segments.
    pub mod feed {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("meridian.feed.v1");
        }
    }
    /// Reports.
    pub mod report {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("meridian.report.v1");
        }
    }
    /// Properties.
    pub mod config {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("meridian.config.v1");
        }
    }
}

/// Annotations of RPCs.
pub mod google {
    /// `google.api.http`: an RPC's REST paths.
    pub mod api {
        tonic::include_proto!("google.api");
    }
}

pub use meridian::batch::v1 as batch;
pub use meridian::config::v1 as config;
pub use meridian::feed::v1 as feed;
pub use meridian::hit::v1 as hit;
pub use meridian::report::v1 as report;

/// All files as an encoded `FileDescriptorSet` with comments and annotations: for gRPC reflection, REST and its description.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
