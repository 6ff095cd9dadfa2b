// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "hal/vhost_user/front_end.hpp"
#include "hal/vhost_user/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace dpfs::fuzz {

/// Reads along what a front end has sent, as the specification cuts it into messages, and
/// judges what comes back: each reply belongs to a message, in their order, and looks like one.
class ReplyChecker {
  public:
    void sent(std::span<const std::byte> bytes);
    void received(const hal::vhost_user::BackEndMessage& reply);

  private:
    struct Question {
        std::uint32_t request;
        bool need_reply;
        std::uint32_t size;         // of its payload
        std::uint32_t config_size;  // of what GET_CONFIG asks for
    };
    [[nodiscard]] static bool answers(const hal::vhost_user::BackEndMessage& reply,
                                      const Question& question);

    std::vector<std::byte> unread_;
    std::deque<Question> questions_;
};

}  // namespace dpfs::fuzz
