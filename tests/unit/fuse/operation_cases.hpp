// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "message.hpp"

#include <ostream>
#include <string>
#include <vector>

namespace dpfs::fuse::test {

/// One request of each kind, what the file system must be asked for it, and what the tenant
/// must be told when the file system answers as FakeFileSystem does.
struct OperationCase {
    std::string name;
    Bytes request;
    std::string call;
    std::size_t reply_room;  ///< as Linux would have it
    Message payload;
    bool has_reply = true;
};

inline std::ostream& operator<<(std::ostream& to, const OperationCase& one) {
    return to << one.name;
}

/// Every opcode but INIT, DESTROY and INTERRUPT.
const std::vector<OperationCase>& operation_cases();

}  // namespace dpfs::fuse::test
