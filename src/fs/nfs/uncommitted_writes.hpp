// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/copy_buffers.hpp"
#include "net/nfs4/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace dpfs::nfs {

/// Data of one file that the server has taken into its memory only (UNSTABLE4): if it restarts,
/// they are gone there, while the tenant was told that they are written. So they are kept until
/// a COMMIT has shown, by its verifier, that the memory which took them is the one that was
/// written to the disk. Source: RFC 8881, 18.3.3 and 18.32.3.
///
/// Thread    one at a time: under the inode's lock.
class UncommittedWrites {
  public:
    struct Write {
        std::uint64_t file = 0;    ///< the open file's id
        std::uint64_t number = 0;  ///< in the order in which the server answered
        std::uint64_t offset = 0;
        CopyBuffers::Buffer data;
        nfs4::Verifier verifier;  ///< of the server's memory that took it

        [[nodiscard]] bool overlaps(const Write& other) const noexcept {
            return offset < other.offset + other.data.size() &&
                   other.offset < offset + data.size();
        }
        /// It is on the disk already, and kept only to be newer than what is sent again.
        bool stable = false;
    };
    using Pointer = std::shared_ptr<Write>;
    using List = std::vector<Pointer>;

    /// A copy of the first `size` bytes of `from`, to be added. Thread: any.
    static Pointer copy_of(CopyBuffers& buffers,
                           std::uint64_t offset,
                           std::span<const iovec> from,
                           std::size_t size,
                           const nfs4::Verifier& verifier);
    void add(Pointer write);
    /// The server has committed what it took under `verifier`, and answered no later than
    /// `number`. It is kept no more, unless it is newer than something in its place that has
    /// to be sent again. Gives the bytes that are not kept any more.
    std::size_t committed(std::uint64_t number, const nfs4::Verifier& verifier);
    /// Nothing that was written through `file` is kept any more. Gives the bytes that were.
    std::size_t drop_of(std::uint64_t file);
    /// Nothing is kept any more. Gives the bytes that were.
    std::size_t drop();
    /// Whether anything is kept that the server answered no later than `number`.
    [[nodiscard]] bool has_any_until(std::uint64_t number) const noexcept;

    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint64_t last_number() const noexcept { return last_number_; }
    /// In the order in which they are to be sent again: later ones overwrite earlier ones.
    [[nodiscard]] const List& list() const noexcept { return list_; }

  private:
    template <class Condition>
    std::size_t erase(Condition condition);

    List list_;
    std::size_t size_ = 0;  // bytes
    std::uint64_t last_number_ = 0;
};

}  // namespace dpfs::nfs
