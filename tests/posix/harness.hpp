// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The list of cases and the runner. A case is a process of its own, in an empty directory
/// of its own (its current directory), as root, with umask 022 and a time limit: what it
/// opens, locks, maps or forks ends with it, so cases need no cleaning of their own.

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace posix {

/// What a case does.
class Body {
  public:
    virtual ~Body() = default;
    virtual void run() const = 0;
};

template <typename Function>
class BodyOf final : public Body {
  public:
    explicit BodyOf(Function function) : function_(std::move(function)) {}
    void run() const override { function_(); }

  private:
    Function function_;
};

struct Case {
    std::string name;  // family.sentence, unique
    std::unique_ptr<Body> body;
    int limit_factor = 1;  // times the runner's time limit
};

class Suite {
  public:
    void add(const char* name, void (*body)());
    /// For cases that are made from the rows of a table.
    template <typename Function>
    void add_row(std::string name, Function body) {
        cases_.push_back(
            {std::move(name), std::make_unique<BodyOf<Function>>(std::move(body))});
    }
    /// A case that may take `limit_factor` times as long as others.
    void add_long(const char* name, int limit_factor, void (*body)());

    const std::vector<Case>& cases() const { return cases_; }

  private:
    std::vector<Case> cases_;
};

struct RunOptions {
    std::string directory;
    std::string filter = "*";  // glob over names
    int limit_s = 20;
    bool quick = false;  // leaves the long cases out
};

bool is_chosen(const Case& test, const RunOptions& options);

/// Runs the cases that match and prints one line each, then the totals.
/// Returns the exit code: 0 if none failed, 1 otherwise, 2 if nothing could be run.
int run(const Suite& suite, const RunOptions& options);

}  // namespace posix
