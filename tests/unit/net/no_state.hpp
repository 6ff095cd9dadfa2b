// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/client.hpp"

namespace dpfs::nfs4 {

/// A user of a client who has no states at the server.
class NoState final : public StateHolder {
  public:
    Task<Result<void>> reclaim(Lane& lane) override {
        static_cast<void>(lane);
        return Task<Result<void>>::ready({});
    }
    void states_revoked() override {}
    void file_systems_moved() override {}
    void lock_may_be_free(const FileHandle& handle) override { static_cast<void>(handle); }
    Status recall(const FileHandle& handle, const StateId& delegation) override {
        static_cast<void>(handle);
        static_cast<void>(delegation);
        return Status::bad_stateid;
    }
    void recall_any(std::uint64_t kept_count_max) override {
        static_cast<void>(kept_count_max);
    }
    void copy_ended(const CopyOutcome& outcome) override { static_cast<void>(outcome); }
};

}  // namespace dpfs::nfs4
