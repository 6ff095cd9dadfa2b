// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/task.hpp"
#include "fuse/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dpfs::fuse {

class Session;
struct Call;

/// How a handler answers: the size of the reply's payload, which it has written, or the error.
using Answer = Task<Result<std::size_t>>;

/// A row of the dispatcher's table.
struct Operation {
    enum class Kind : std::uint8_t {
        normal,      ///< one reply
        no_reply,    ///< none; completed when the handler has ended
        transition,  ///< INIT and DESTROY
    };

    std::string_view name;
    Kind kind = Kind::normal;
    std::uint16_t arguments_size_min = 0;  ///< else EINVAL, and the handler does not see it
    std::uint16_t payload_size_min = 0;    ///< room that a reply needs, else EIO, the same
    Answer (*handler)(Session&, Call&) = nullptr;
};

/// The one table; nullptr for what nobody defines.
[[nodiscard]] const Operation* find_operation(std::uint32_t opcode) noexcept;

/// The handlers, one for each opcode; what they check and answer is said where they are defined
/// (op_*.cpp). All are plain functions as long as the file system answers at once.
/// Lifetime: session and call outlive the answer.
namespace op {
Answer lookup(Session& session, Call& call);
Answer forget(Session& session, Call& call);
Answer batch_forget(Session& session, Call& call);

Answer mknod(Session& session, Call& call);
Answer mkdir(Session& session, Call& call);
Answer symlink(Session& session, Call& call);
Answer link(Session& session, Call& call);
Answer create(Session& session, Call& call);
Answer tmpfile(Session& session, Call& call);

Answer unlink(Session& session, Call& call);
Answer rmdir(Session& session, Call& call);
Answer rename(Session& session, Call& call);
Answer rename2(Session& session, Call& call);

Answer getattr(Session& session, Call& call);
Answer setattr(Session& session, Call& call);
Answer statx(Session& session, Call& call);
Answer readlink(Session& session, Call& call);
Answer access(Session& session, Call& call);
Answer statfs(Session& session, Call& call);
Answer syncfs(Session& session, Call& call);

Answer open(Session& session, Call& call);
Answer read(Session& session, Call& call);
Answer write(Session& session, Call& call);
Answer flush(Session& session, Call& call);
Answer release(Session& session, Call& call);
Answer fsync(Session& session, Call& call);
Answer fallocate(Session& session, Call& call);
Answer lseek(Session& session, Call& call);
Answer copy_file_range(Session& session, Call& call);
Answer copy_file_range_64(Session& session, Call& call);

Answer opendir(Session& session, Call& call);
Answer readdir(Session& session, Call& call);
Answer readdirplus(Session& session, Call& call);
Answer releasedir(Session& session, Call& call);
Answer fsyncdir(Session& session, Call& call);

Answer setxattr(Session& session, Call& call);
Answer getxattr(Session& session, Call& call);
Answer listxattr(Session& session, Call& call);
Answer removexattr(Session& session, Call& call);

Answer getlk(Session& session, Call& call);
Answer setlk(Session& session, Call& call);
Answer setlkw(Session& session, Call& call);

Answer bmap(Session& session, Call& call);
Answer ioctl(Session& session, Call& call);
Answer poll(Session& session, Call& call);

Answer init(Session& session, Call& call);
Answer destroy(Session& session, Call& call);
Answer interrupt(Session& session, Call& call);
}  // namespace op
}  // namespace dpfs::fuse
