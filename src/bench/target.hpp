// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/floor_device.hpp"
#include "bench/lane.hpp"
#include "bench/options.hpp"
#include "bench/outcome.hpp"
#include "hal/vhost_user/front_end.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "virtio/wire.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::bench {

/// One virtio-fs device with its queues, as a guest's driver has them: connected and
/// configured, not mounted yet.
///
/// Thread    one at a time; each lane may belong to a thread of its own.
class Target {
  public:
    /// Connects to a vhost-user-fs device.
    static Outcome<std::unique_ptr<Target>> connect(const std::string& socket,
                                                    const Options& options);
    /// Starts a bare device in this process: on files in `directory`, or on none ("null").
    static Outcome<std::unique_ptr<Target>> make_floor(const std::string& place,
                                                       const Options& options);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Whether requests are indirect descriptor tables.
    [[nodiscard]] bool is_indirect() const noexcept {
        return (features_ & virtio::feature_indirect_desc) != 0;
    }
    /// Of the request queues.
    [[nodiscard]] std::vector<Lane>& lanes() noexcept { return lanes_; }
    /// Of the queue for FORGETs (virtio 1.2, 5.11.2: hiprio).
    [[nodiscard]] Lane& priority_lane() noexcept { return *priority_; }

    /// Which becomes readable or hangs up when the device goes away; -1: it cannot.
    [[nodiscard]] int socket_fd() const noexcept { return front_end_ ? front_end_->fd() : -1; }
    [[nodiscard]] bool is_alive() const noexcept;
    [[nodiscard]] const FloorDevice* floor() const noexcept { return floor_.get(); }

  private:
    Target() = default;
    Outcome<void> negotiate(const DriverOptions& driver);
    Outcome<void> make_queues(const Options& options);
    Outcome<void> start_queues(std::uint32_t queue_count);
    void limit_waits(Duration time);
    [[nodiscard]] std::unexpected<std::string> refused(std::string_view what,
                                                       Errno error) const;

    std::string name_;
    std::uint64_t features_ = 0;
    std::unique_ptr<hal::vhost_user::FrontEnd> front_end_;  // none: a floor
    std::unique_ptr<hal::vhost_user::SharedMemory> memory_;
    std::unique_ptr<Lane> priority_;
    std::vector<Lane> lanes_;
    // Last: it uses the memory above, and is stopped first.
    std::unique_ptr<FloorDevice> floor_;
};

}  // namespace dpfs::bench
