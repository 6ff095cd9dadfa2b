// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/tls_transport.hpp"

#include "net/rpc/tls_engine.hpp"

#include <algorithm>
#include <cstring>
#include <openssl/bio.h>

namespace dpfs::rpc {

/// What the library calls.
struct Transport {
    static int read(BIO* bio, char* to, std::size_t size, std::size_t* taken) {
        auto& engine = *static_cast<TlsEngine*>(::BIO_get_data(bio));
        ::BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
        *taken = std::min(size, engine.end_ - engine.begin_);
        if (*taken == 0) {
            ::BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
            return 0;
        }
        std::memcpy(to, engine.input_.get() + engine.begin_, *taken);
        engine.begin_ += *taken;
        return 1;
    }

    static int write(BIO* bio, const char* from, std::size_t size, std::size_t* put) {
        auto& engine = *static_cast<TlsEngine*>(::BIO_get_data(bio));
        const std::size_t at = engine.output_.size();
        engine.output_.resize(at + size);
        std::memcpy(engine.output_.data() + at, from, size);
        *put = size;
        return 1;
    }

    static long control(BIO* bio, int command, long number, void* pointer) noexcept {
        static_cast<void>(bio);
        static_cast<void>(number);
        static_cast<void>(pointer);
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }
};

bio_method_st* make_tls_transport() noexcept {
    BIO_METHOD* const method =
        ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "dpfs");
    if (method == nullptr) return nullptr;
    ::BIO_meth_set_read_ex(method, Transport::read);
    ::BIO_meth_set_write_ex(method, Transport::write);
    ::BIO_meth_set_ctrl(method, Transport::control);
    return method;
}

bio_st* open_tls_transport(const bio_method_st* method, TlsEngine& engine) noexcept {
    BIO* const bio = ::BIO_new(method);
    if (bio == nullptr) return nullptr;
    ::BIO_set_data(bio, &engine);
    ::BIO_set_init(bio, 1);
    return bio;
}

}  // namespace dpfs::rpc
