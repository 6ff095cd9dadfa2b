// SPDX-License-Identifier: Apache-2.0
#include "nfs_history.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace dpfs::sim {

NfsHistory::Asked NfsHistory::ask(std::string key, Instant now) {
    asked_.push_back({.key = std::move(key), .begin = now});
    return asked_.size() - 1;
}

void NfsHistory::end(Asked asked, Instant now, Told told, Errno error) {
    Operation& operation = asked_[asked];
    operation.end = now;
    operation.told = told;
    operation.error = error;
}

void NfsHistory::executed(std::string key,
                          nfs4::Status status,
                          std::uint64_t session,
                          Instant now) {
    if (status == nfs4::Status::ok) done_[std::move(key)].push_back({now, session});
}

void NfsHistory::session_lost(std::uint64_t session, Instant now) {
    lost_.try_emplace(session, now);
}

bool NfsHistory::was_lost_between(std::uint64_t session, Instant from, Instant to) const {
    const auto lost = lost_.find(session);
    return lost != lost_.end() && lost->second >= from && lost->second <= to;
}

std::vector<std::string> NfsHistory::check() const {
    std::map<std::string, std::vector<const Operation*>> by_key;
    for (const Operation& each : asked_) by_key[each.key].push_back(&each);
    std::vector<std::string> wrong;
    for (const auto& [key, executions] : done_) {
        if (by_key.contains(key)) continue;
        wrong.push_back(fmt::format("'{}' was done and never asked for", key));
    }
    for (const auto& [key, operations] : by_key) {
        std::ranges::move(check(key, operations), std::back_inserter(wrong));
    }
    return wrong;
}

std::vector<std::string> NfsHistory::check(
    const std::string& key, const std::vector<const Operation*>& operations) const {
    std::vector<std::string> wrong;
    const auto found = done_.find(key);
    std::vector<Execution> left =
        found == done_.end() ? std::vector<Execution>() : found->second;
    for (const Operation* const operation : operations) {
        std::vector<Execution> mine;
        std::erase_if(left, [&](const Execution& each) {
            if (each.at < operation->begin || each.at > operation->end) return false;
            mine.push_back(each);
            return true;
        });
        check_one(*operation, mine, wrong);
    }
    for (const Execution& each : left) {
        wrong.push_back(
            fmt::format("'{}' was done at {} ns, when it was not asked for", key, each.at.ns));
    }
    return wrong;
}

void NfsHistory::check_one(const Operation& operation,
                           const std::vector<Execution>& done,
                           std::vector<std::string>& wrong) const {
    const auto complain = [&](std::string_view what) {
        wrong.push_back(fmt::format("'{}' of {} to {} ns: {}",
                                    operation.key,
                                    operation.begin.ns,
                                    operation.end.ns,
                                    what));
    };
    for (std::size_t i = 0; i + 1 < done.size(); ++i) {
        if (was_lost_between(done[i].session, done[i].at, done[i + 1].at)) {
            ++excused_count_;
        } else {
            complain(
                fmt::format("done twice, at {} and {} ns", done[i].at.ns, done[i + 1].at.ns));
        }
    }
    if (operation.told == Told::nothing_yet) complain("never answered");
    if (operation.told == Told::done && done.empty()) complain("answered, and not done");
    if (operation.told == Told::error && !done.empty()) {
        if (was_lost_between(done.back().session, done.back().at, operation.end)) {
            ++excused_count_;
        } else {
            complain(fmt::format("answered {}, and was done", errno_name(operation.error)));
        }
    }
}

}  // namespace dpfs::sim
