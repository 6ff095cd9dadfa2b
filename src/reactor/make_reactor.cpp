// SPDX-License-Identifier: Apache-2.0
#include "reactor/make_reactor.hpp"

#include "reactor/epoll_reactor.hpp"

namespace dpfs::reactor {

Result<std::unique_ptr<EventLoop>> make_reactor(const ReactorOptions& options,
                                                BlockingPool& pool,
                                                const Logger& log) {
    if (options.kind != ReactorKind::epoll) {
        Result<std::unique_ptr<UringReactor>> uring = UringReactor::make(options.uring, pool);
        if (uring) {
            if (const auto error = (*uring)->files_error()) {
                log.warning("no table of {} files for io_uring ({}): goes on without",
                            options.uring.file_count_max,
                            errno_name(*error));
            }
            return std::move(*uring);
        }
        if (options.kind == ReactorKind::uring) return fail(uring.error());
        log.warning("io_uring cannot be used ({}): goes on with epoll and Linux AIO",
                    errno_name(uring.error()));
    }
    const EpollOptions epoll_options = {.loop = options.uring.loop};
    Result<std::unique_ptr<EpollReactor>> epoll = EpollReactor::make(epoll_options, pool);
    if (!epoll) return fail(epoll.error());
    return std::move(*epoll);
}

}  // namespace dpfs::reactor
