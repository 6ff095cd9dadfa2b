// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/run_with_state.hpp"
#include "net/nfs4/read_plus.hpp"

namespace dpfs::nfs {

using nfs4::Op;

Task<Result<std::optional<std::size_t>>> NfsFs::read_plus_once(fuse::Context& context,
                                                               OpenFile& file,
                                                               std::uint64_t offset,
                                                               std::span<const iovec> to,
                                                               bool& at_end) {
    const Inode& inode = *file.inode;
    if (client_->options().minor_version < 2 || lacks(inode, Feature::read_plus)) {
        co_return std::optional<std::size_t>();
    }
    const auto put = [offset, to](Request& request, const nfs4::StateId& state) {
        request.put_read_plus(state, offset, to);
    };
    const auto request = co_await or_return(co_await run_with_state(context, file, put));
    if (note_support(inode, Feature::read_plus, request->status())) {
        co_return std::optional<std::size_t>();
    }
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::read_plus));
    const auto read = nfs4::take_read_plus(request->reader(), offset, to, request->call.taken);
    if (read) {
        at_end = read->at_end;
        co_return std::optional<std::size_t>(read->size);
    }
    // Servers are known whose READ_PLUS is wrong, and whose READ is not. READ writes over
    // whatever has been put into the tenant's memory.
    if (file_systems_.set_lacks(inode.fsid(), Feature::read_plus)) {
        log_.error(
            "the server's READ_PLUS answers something else than was asked; READ is used");
    }
    co_return std::optional<std::size_t>();
}

}  // namespace dpfs::nfs
