//! The descriptors of all messages that are mapped to or from JSON.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub(crate) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let made_by_the_build = "the build made the descriptors";
    let mut pool = DescriptorPool::decode(proto::DESCRIPTORS).expect(made_by_the_build);
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).expect(made_by_the_build);
    pool
});
