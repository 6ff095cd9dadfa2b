// SPDX-License-Identifier: Apache-2.0
#include "reply_checker.hpp"

#include "require.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::fuzz {

namespace wire = hal::vhost_user::wire;
using wire::MessageId;

void ReplyChecker::sent(std::span<const std::byte> bytes) {
    unread_.insert(unread_.end(), bytes.begin(), bytes.end());
    wire::Header header;
    while (unread_.size() >= sizeof(header)) {
        std::memcpy(&header, unread_.data(), sizeof(header));
        const std::size_t whole = sizeof(header) + std::uint64_t{header.size};
        if (unread_.size() < whole) return;
        wire::ConfigHeader config = {};
        std::memcpy(&config,
                    unread_.data() + sizeof(header),
                    std::min(sizeof(config), whole - sizeof(header)));
        questions_.push_back({.request = header.request,
                              .need_reply = (header.flags & wire::flag_need_reply) != 0,
                              .size = header.size,
                              .config_size = config.size});
        unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(whole));
    }
}

void ReplyChecker::received(const hal::vhost_user::BackEndMessage& reply) {
    require(reply.flags == (wire::flag_version | wire::flag_reply));
    const auto found = std::ranges::find_if(
        questions_, [&](const Question& question) { return answers(reply, question); });
    require(found != questions_.end());
    questions_.erase(questions_.begin(), found + 1);
}

/// By vhost-user.rst: a reply of its own, or, where it was asked for, an acknowledgement.
bool ReplyChecker::answers(const hal::vhost_user::BackEndMessage& reply,
                           const Question& question) {
    if (reply.request != question.request) return false;
    const std::size_t size = reply.payload.size();
    if (question.need_reply && size == sizeof(wire::Number) && reply.fds.empty()) return true;
    const MessageId id{question.request};
    if (id == MessageId::get_inflight_fd) {
        return size == question.size && reply.fds.size() == 1;
    }
    if (!reply.fds.empty()) return false;
    if (id == MessageId::get_config) {
        return size == sizeof(wire::ConfigHeader) + question.config_size;
    }
    constexpr MessageId with_number[] = {MessageId::get_features,
                                         MessageId::get_protocol_features,
                                         MessageId::get_queue_num,
                                         MessageId::get_max_mem_slots,
                                         MessageId::get_status,
                                         MessageId::set_log_base,
                                         MessageId::get_vring_base};
    return std::ranges::find(with_number, id) != std::end(with_number) &&
           size == sizeof(wire::Number);
}

}  // namespace dpfs::fuzz
