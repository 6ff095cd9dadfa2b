// SPDX-License-Identifier: Apache-2.0
// Goal: the devices of a process do not promise themselves more descriptors than there are.
#include "daemon/descriptor_limit.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>

namespace dpfs::daemon {
namespace {

Config config_of(std::initializer_list<Backend> backends) {
    Config config;
    for (const Backend backend : backends) config.devices.emplace_back().backend = backend;
    return config;
}

TEST(ShareDescriptors, divides_between_devices_with_a_directory) {
    Config config = config_of({Backend::uring, Backend::null, Backend::aio});
    share_descriptors(config, 8000);
    EXPECT_EQ(config.devices[0].mirror.inode_descriptor_count_max, 2000U);
    EXPECT_EQ(config.devices[0].mirror.open_file_count_max, 1000U);
    EXPECT_EQ(config.devices[2].mirror.inode_descriptor_count_max, 2000U);
}

TEST(ShareDescriptors, keeps_what_the_operator_wrote) {
    Config config = config_of({Backend::uring});
    config.devices[0].mirror.open_file_count_max = 7;
    share_descriptors(config, 8000);
    EXPECT_EQ(config.devices[0].mirror.open_file_count_max, 7U);
    EXPECT_EQ(config.devices[0].mirror.inode_descriptor_count_max, 4000U);
}

TEST(ShareDescriptors, leaves_each_device_a_few) {
    Config config = config_of({Backend::uring});
    share_descriptors(config, 10);
    EXPECT_GE(config.devices[0].mirror.open_file_count_max, 16U);
}

TEST(RaiseDescriptorLimit, reaches_the_hard_limit) {
    raise_descriptor_limit();
    rlimit limit = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

}  // namespace
}  // namespace dpfs::daemon
