// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace dpfs {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::off:
            return spdlog::level::off;
    }
    return spdlog::level::off;
}

class StderrSink final : public LogSink {
  public:
    explicit StderrSink(LogLevel minimum)
        : logger_("dpfs", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        logger_.set_level(to_spdlog(minimum));
        logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    }

    void write(LogLevel level, std::string_view scope, std::string_view message) override {
        logger_.log(to_spdlog(level), "{}{}{}", scope, scope.empty() ? "" : ": ", message);
    }
    bool enabled(LogLevel level) const override { return logger_.should_log(to_spdlog(level)); }

  private:
    spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<LogSink> make_stderr_sink(LogLevel minimum) {
    return std::make_unique<StderrSink>(minimum);
}

}  // namespace dpfs
