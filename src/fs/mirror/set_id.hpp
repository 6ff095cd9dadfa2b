// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace dpfs::mirror {

/// Lets the calls of this thread leave set-user-id and set-group-id bits as they are, until its
/// end: raises CAP_FSETID, which request threads do not have otherwise
/// (reactor/credentials.hpp). For what the tenant's kernel has decided already, knowing its
/// caller better than we do: a write by one who may keep the bits, and a chmod(2) that sets
/// them. Two system calls, hence only where such bits are about.
///
/// A process without the capability goes on without it: the bits are lost then, which is the
/// safe side.
class KeepSetIdBits {
  public:
    explicit KeepSetIdBits(bool wanted) noexcept;
    KeepSetIdBits(const KeepSetIdBits&) = delete;
    KeepSetIdBits& operator=(const KeepSetIdBits&) = delete;
    ~KeepSetIdBits();

  private:
    bool raised_ = false;
};

}  // namespace dpfs::mirror
