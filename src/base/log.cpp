// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <nlohmann/json.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <algorithm>

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

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

/// What a log line quotes may come from a tenant: a newline or an escape sequence in it must
/// not become a line, or a command to the operator's terminal.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (is_control(c)) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out;
}

class StderrSink final : public LogSink {
  public:
    StderrSink(LogLevel minimum, LogFormat format)
        : format_(format),
          logger_("dpfs", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()) {
        logger_.set_level(to_spdlog(minimum));
        logger_.set_pattern(format == LogFormat::json
                                ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                : "%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    }

    void write(LogLevel level, std::string_view scope, std::string_view message) override {
        if (format_ == LogFormat::json) {
            logger_.log(to_spdlog(level),
                        "\"scope\":{},\"message\":{}",
                        json_text(scope),
                        json_text(message));
        } else if (std::ranges::any_of(message, is_control)) {
            write_text(level, scope, printable(message));
        } else {
            write_text(level, scope, message);
        }
    }
    bool enabled(LogLevel level) const override { return logger_.should_log(to_spdlog(level)); }

  private:
    void write_text(LogLevel level, std::string_view scope, std::string_view message) {
        logger_.log(to_spdlog(level), "{}{}{}", scope, scope.empty() ? "" : ": ", message);
    }
    /// Quoted and escaped; bytes that are no UTF-8 become U+FFFD.
    static std::string json_text(std::string_view text) {
        constexpr auto replace = nlohmann::json::error_handler_t::replace;
        return nlohmann::json(text).dump(-1, ' ', false, replace);
    }

    const LogFormat format_;
    spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<LogSink> make_stderr_sink(LogLevel minimum, LogFormat format) {
    return std::make_unique<StderrSink>(minimum, format);
}

}  // namespace dpfs
