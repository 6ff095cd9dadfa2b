// SPDX-License-Identifier: Apache-2.0
#include "reactor/uring_request.hpp"

#include "base/assert.hpp"

#include <liburing.h>

#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace dpfs::reactor {
namespace {

// Younger than the header of liburing 2.3. Source: include/uapi/linux/io_uring.h.
constexpr std::uint8_t op_ftruncate = 55;     // Linux 6.9
constexpr std::uint8_t op_readv_fixed = 60;   // Linux 6.15
constexpr std::uint8_t op_writev_fixed = 61;  // Linux 6.15

/// The kernel's opcode; timeouts are the event loop's, and are asked for by nobody.
std::uint8_t kernel_opcode(OpCode code) noexcept {
    switch (code) {
        case OpCode::timeout:
            return IORING_OP_NOP;
        case OpCode::poll:
            return IORING_OP_POLL_ADD;
        case OpCode::readv:
            return IORING_OP_READV;
        case OpCode::writev:
            return IORING_OP_WRITEV;
        case OpCode::accept:
            return IORING_OP_ACCEPT;
        case OpCode::connect:
            return IORING_OP_CONNECT;
        case OpCode::recvmsg:
            return IORING_OP_RECVMSG;
        case OpCode::sendmsg:
            return IORING_OP_SENDMSG;
        case OpCode::shutdown:
            return IORING_OP_SHUTDOWN;
        case OpCode::openat2:
            return IORING_OP_OPENAT2;
        case OpCode::close:
            return IORING_OP_CLOSE;
        case OpCode::statx:
            return IORING_OP_STATX;
        case OpCode::fsync:
            return IORING_OP_FSYNC;
        case OpCode::sync_file_range:
            return IORING_OP_SYNC_FILE_RANGE;
        case OpCode::fallocate:
            return IORING_OP_FALLOCATE;
        case OpCode::ftruncate:
            return op_ftruncate;
        case OpCode::mkdirat:
            return IORING_OP_MKDIRAT;
        case OpCode::unlinkat:
            return IORING_OP_UNLINKAT;
        case OpCode::renameat2:
            return IORING_OP_RENAMEAT;
        case OpCode::linkat:
            return IORING_OP_LINKAT;
        case OpCode::symlinkat:
            return IORING_OP_SYMLINKAT;
        case OpCode::fgetxattr:
            return IORING_OP_FGETXATTR;
        case OpCode::fsetxattr:
            return IORING_OP_FSETXATTR;
    }
    return IORING_OP_NOP;
}

int as_int(std::uint32_t value) noexcept {
    return static_cast<int>(value);
}
template <class T>
T* pointer(const Arguments& call) noexcept {
    return static_cast<T*>(call.address);
}

/// One iovec needs no vector: the kernel then copies none.
void fill_transfer(io_uring_sqe& request, const Arguments& call) noexcept {
    const bool reads = call.code == OpCode::readv;
    const auto* const buffers = pointer<const iovec>(call);
    // The kernel moves at most this much in one call, and its length field has 32 bits.
    constexpr std::size_t size_max = 0x7ffff000;
    if (call.size == 1 && buffers->iov_len <= size_max) {
        ::io_uring_prep_rw(reads ? IORING_OP_READ : IORING_OP_WRITE,
                           &request,
                           call.fd,
                           buffers->iov_base,
                           static_cast<unsigned>(buffers->iov_len),
                           call.offset);
    } else {
        const int opcode = reads ? IORING_OP_READV : IORING_OP_WRITEV;
        ::io_uring_prep_rw(opcode, &request, call.fd, buffers, call.size, call.offset);
    }
    request.rw_flags = as_int(call.flags);
}

void fill_name_call(io_uring_sqe& request, const Arguments& call) noexcept {
    const int flags = as_int(call.flags);
    if (call.code == OpCode::mkdirat) {
        ::io_uring_prep_mkdirat(&request, call.fd, call.path, call.mode);
    } else if (call.code == OpCode::unlinkat) {
        ::io_uring_prep_unlinkat(&request, call.fd, call.path, flags);
    } else if (call.code == OpCode::renameat2) {
        ::io_uring_prep_renameat(
            &request, call.fd, call.path, call.fd2, call.path2, call.flags);
    } else if (call.code == OpCode::linkat) {
        ::io_uring_prep_linkat(&request, call.fd, call.path, call.fd2, call.path2, flags);
    } else {
        ::io_uring_prep_symlinkat(&request, call.path, call.fd2, call.path2);
    }
}

void fill_xattr_call(io_uring_sqe& request, const Arguments& call) noexcept {
    const int flags = as_int(call.flags);
    char* const value = pointer<char>(call);
    if (call.code == OpCode::fgetxattr) {
        ::io_uring_prep_fgetxattr(&request, call.fd, call.path, value, call.size);
    } else {
        ::io_uring_prep_fsetxattr(&request, call.fd, call.path, value, flags, call.size);
    }
}

/// The lengths of these two have 64 bits, which liburing 2.3 does not always pass on.
void fill_size_call(io_uring_sqe& request, const Arguments& call) noexcept {
    if (call.code == OpCode::ftruncate) {
        ::io_uring_prep_rw(op_ftruncate, &request, call.fd, nullptr, 0, call.length);
    } else {
        ::io_uring_prep_rw(
            IORING_OP_FALLOCATE, &request, call.fd, nullptr, call.mode, call.offset);
        request.addr = call.length;
    }
}

}  // namespace

UringOpcodes UringOpcodes::probe(io_uring& ring) {
    UringOpcodes found;
    io_uring_probe* const answer = ::io_uring_get_probe_ring(&ring);
    if (answer == nullptr) return found;
    for (std::size_t i = 0; i < count; ++i) {
        const auto opcode = kernel_opcode(static_cast<OpCode>(i));
        found.supported_[i] = ::io_uring_opcode_supported(answer, opcode) != 0;
    }
    found.vectored_fixed_ = ::io_uring_opcode_supported(answer, op_readv_fixed) != 0 &&
                            ::io_uring_opcode_supported(answer, op_writev_fixed) != 0;
    ::io_uring_free_probe(answer);
    return found;
}

void use_fixed_buffer(io_uring_sqe& request,
                      const UringOpcodes& opcodes,
                      std::uint16_t index) noexcept {
    switch (request.opcode) {
        case IORING_OP_READ:
            request.opcode = IORING_OP_READ_FIXED;
            break;
        case IORING_OP_WRITE:
            request.opcode = IORING_OP_WRITE_FIXED;
            break;
        case IORING_OP_READV:
            if (!opcodes.has_vectored_fixed()) return;
            request.opcode = op_readv_fixed;
            break;
        case IORING_OP_WRITEV:
            if (!opcodes.has_vectored_fixed()) return;
            request.opcode = op_writev_fixed;
            break;
        default:
            return;
    }
    request.buf_index = index;
}

void fill_request(io_uring_sqe& request, const Arguments& call) noexcept {
    const int flags = as_int(call.flags);
    switch (call.code) {
        case OpCode::timeout:
            return ::io_uring_prep_nop(&request);
        case OpCode::poll:
            return ::io_uring_prep_poll_add(&request, call.fd, call.flags);
        case OpCode::readv:
        case OpCode::writev:
            return fill_transfer(request, call);
        case OpCode::accept:
            return ::io_uring_prep_accept(&request, call.fd, nullptr, nullptr, flags);
        case OpCode::connect:
            return ::io_uring_prep_connect(
                &request, call.fd, pointer<const sockaddr>(call), call.size);
        case OpCode::recvmsg:
            return ::io_uring_prep_recvmsg(
                &request, call.fd, pointer<msghdr>(call), call.flags);
        case OpCode::sendmsg:
            return ::io_uring_prep_sendmsg(
                &request, call.fd, pointer<const msghdr>(call), call.flags | MSG_NOSIGNAL);
        case OpCode::shutdown:
            return ::io_uring_prep_shutdown(&request, call.fd, flags);
        case OpCode::openat2:
            return ::io_uring_prep_openat2(
                &request, call.fd, call.path, pointer<open_how>(call));
        case OpCode::close:
            return ::io_uring_prep_close(&request, call.fd);
        case OpCode::statx:
            return ::io_uring_prep_statx(
                &request, call.fd, call.path, flags, call.mode, pointer<struct statx>(call));
        case OpCode::fsync:
            return ::io_uring_prep_fsync(&request, call.fd, call.flags);
        case OpCode::sync_file_range:
            // Its length has 32 bits here: longer ranges do not come this way (uring_reactor).
            return ::io_uring_prep_sync_file_range(
                &request, call.fd, static_cast<unsigned>(call.length), call.offset, flags);
        case OpCode::fallocate:
        case OpCode::ftruncate:
            return fill_size_call(request, call);
        case OpCode::mkdirat:
        case OpCode::unlinkat:
        case OpCode::renameat2:
        case OpCode::linkat:
        case OpCode::symlinkat:
            return fill_name_call(request, call);
        case OpCode::fgetxattr:
        case OpCode::fsetxattr:
            return fill_xattr_call(request, call);
    }
}

bool depends_on_caller(OpCode code) noexcept {
    switch (code) {
        case OpCode::timeout:
        case OpCode::poll:
        case OpCode::readv:
        case OpCode::accept:
        case OpCode::recvmsg:
        case OpCode::shutdown:
        case OpCode::close:
        case OpCode::fsync:
        case OpCode::sync_file_range:
        case OpCode::fgetxattr:
            return false;
        case OpCode::writev:
        case OpCode::connect:
        case OpCode::sendmsg:
        case OpCode::openat2:
        case OpCode::statx:
        case OpCode::fallocate:
        case OpCode::ftruncate:
        case OpCode::mkdirat:
        case OpCode::unlinkat:
        case OpCode::renameat2:
        case OpCode::linkat:
        case OpCode::symlinkat:
        case OpCode::fsetxattr:
            return true;
    }
    return true;
}

}  // namespace dpfs::reactor
