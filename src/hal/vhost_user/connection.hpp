// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/log_quota.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "hal/device.hpp"
#include "hal/vhost_user/device_options.hpp"
#include "hal/vhost_user/fixed_memory.hpp"
#include "hal/vhost_user/inflight.hpp"
#include "hal/vhost_user/memory_table.hpp"
#include "hal/vhost_user/message_channel.hpp"
#include "hal/vhost_user/vring.hpp"
#include "hal/vhost_user/wire.hpp"
#include "reactor/cancel.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dpfs::hal::vhost_user {

/// What of its device a connection uses; all of it outlives the connection.
struct ConnectionContext {
    const DeviceOptions& options;
    reactor::Reactor& control;
    RequestSink& sink;
    const Logger& log;
    std::span<const std::unique_ptr<Vring>> vrings;
    reactor::CancelSource& stopping;  ///< fired: the connection ends
};

/// One front end, from its first message to the end: what it negotiated, the memory it shared,
/// and the state of its rings. All that it sends is checked here; the first thing that cannot
/// be ends the connection, with one line in the log.
///
/// Thread    the control reactor's.
class Connection {
  public:
    Connection(const ConnectionContext& context, UniqueFd socket);

    /// Serves the front end until it leaves, breaks a rule, or is told to go; then stops all
    /// rings, resets the sink and lets go of everything.
    Task<void> run();

    /// The driver broke a ring: the device needs a reset, and takes no requests until then.
    void on_ring_broken(std::uint16_t index, virtio::Violation violation) noexcept;

    [[nodiscard]] bool peer_has_left() const noexcept { return channel_.peer_has_left(); }

  private:
    /// What the front end has said about a ring; kept while it is stopped.
    struct RingSettings {
        std::uint32_t size = 0;
        std::optional<wire::VringAddress> address;
        std::optional<std::uint32_t> base;
        bool enabled = false;
        bool kick_set = false;     ///< and no GET_VRING_BASE since
        bool base_needed = false;  ///< the kick came early: more is to be said first
        bool running = false;
        UniqueFd kick;  ///< until the ring runs
    };

    using Handler = Task<Result<Reply>> (Connection::*)(Message&);
    struct Rule {
        wire::MessageId id;
        const char* name;
        std::uint32_t size_min;  ///< of the payload
        std::uint32_t size_max;
        std::uint32_t fd_count_max;
        Handler handler;
    };

    // connection_rules.cpp
    static std::span<const Rule> feature_rules() noexcept;
    static std::span<const Rule> memory_rules() noexcept;
    static std::span<const Rule> ring_rules() noexcept;
    static const Rule* find_rule(std::uint32_t request) noexcept;

    Task<Result<void>> serve();
    /// Whether the front end awaits an answer to what has none of its own.
    [[nodiscard]] bool acknowledges(const Message& message) const noexcept;
    /// Whether a line may be logged about what driver and front end can do again and again.
    [[nodiscard]] bool may_log() noexcept;
    Task<Result<void>> handle(Rule rule, Message& message);
    Task<Result<Reply>> dispatch(Rule rule, Message& message);
    Task<void> tear_down();

    // connection_features.cpp
    Task<Result<Reply>> get_features(Message& message);
    Task<Result<Reply>> set_features(Message& message);
    Task<Result<Reply>> get_protocol_features(Message& message);
    Task<Result<Reply>> set_protocol_features(Message& message);
    Task<Result<Reply>> get_queue_num(Message& message);
    Task<Result<Reply>> set_owner(Message& message);
    Task<Result<Reply>> reset_owner(Message& message);
    Task<Result<Reply>> get_config(Message& message);
    Task<Result<Reply>> set_config(Message& message);
    Task<Result<Reply>> set_status(Message& message);
    Task<Result<Reply>> get_status(Message& message);
    Task<Result<Reply>> reset_device(Message& message);

    // connection_memory.cpp
    Task<Result<Reply>> set_mem_table(Message& message);
    Task<Result<Reply>> get_max_mem_slots(Message& message);
    Task<Result<Reply>> add_mem_reg(Message& message);
    Task<Result<Reply>> rem_mem_reg(Message& message);
    Task<Result<Reply>> set_log_base(Message& message);
    Task<Result<Reply>> set_log_fd(Message& message);
    Task<Result<Reply>> get_inflight_fd(Message& message);
    Task<Result<Reply>> set_inflight_fd(Message& message);
    Task<Result<void>> use_memory(MemoryTable table);
    [[nodiscard]] bool log_covers(const virtio::GuestMemory& memory) const noexcept;

    // connection_rings.cpp
    Task<Result<Reply>> set_vring_num(Message& message);
    Task<Result<Reply>> set_vring_addr(Message& message);
    Task<Result<Reply>> set_vring_base(Message& message);
    Task<Result<Reply>> get_vring_base(Message& message);
    Task<Result<Reply>> set_vring_kick(Message& message);
    Task<Result<Reply>> set_vring_call(Message& message);
    Task<Result<Reply>> set_vring_err(Message& message);
    Task<Result<Reply>> set_vring_enable(Message& message);
    Result<std::uint16_t> ring_index(std::uint64_t index);
    struct VringFd {
        std::uint16_t index = 0;
        UniqueFd fd;  ///< none where the front end polls
    };
    Result<VringFd> vring_fd(Message& message);
    Task<Result<void>> start_if_ready(std::uint16_t index);
    Task<void> stop_ring(std::uint16_t index);
    Task<void> stop_all_rings();
    Task<void> halt_all_rings();
    /// When no ring runs: the device needs no reset any more.
    Task<void> forget_broken_rings();
    Task<void> apply_logs();
    [[nodiscard]] RingLogs logs_for(const RingSettings& ring) const;
    [[nodiscard]] bool any_ring_runs() const noexcept;
    [[nodiscard]] bool packed() const noexcept;

    /// Notes why the connection has to end, for the log.
    template <class... Args>
    [[nodiscard]] std::unexpected<Errno> refuse(fmt::format_string<Args...> format,
                                                Args&&... args) {
        problem_ = fmt::format(format, std::forward<Args>(args)...);
        return fail(Errno::protocol);
    }
    /// Notes it for a wish that can be denied: the front end is told, and may go on.
    template <class... Args>
    [[nodiscard]] std::unexpected<Errno> deny(fmt::format_string<Args...> format,
                                              Args&&... args) {
        problem_ = fmt::format(format, std::forward<Args>(args)...);
        return fail(Errno::not_supported);
    }

    ConnectionContext context_;
    MessageChannel channel_;
    Message message_;
    std::string problem_;
    LogQuota log_quota_;
    Gate background_;  // what on_ring_broken() started

    std::uint64_t features_ = 0;
    std::uint64_t protocol_features_ = 0;
    std::uint8_t status_ = 0;
    bool needs_reset_ = false;
    MemoryLost memory_lost_ = std::make_shared<std::atomic<bool>>(false);
    MemoryTable memory_;
    FixedMemory fixed_memory_;
    std::shared_ptr<const virtio::DirtyLog> log_;
    std::uint64_t log_size_ = 0;  // bytes
    InflightArea inflight_;
    std::vector<RingSettings> rings_;
};

/// What GET_FEATURES and GET_PROTOCOL_FEATURES offer.
[[nodiscard]] std::uint64_t offered_features() noexcept;
[[nodiscard]] std::uint64_t offered_protocol_features() noexcept;

}  // namespace dpfs::hal::vhost_user
