// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>

namespace dpfs {

enum class LogLevel : unsigned char { debug, info, warning, error, off };

enum class LogFormat : unsigned char {
    text,  ///< time level scope: message
    json,  ///< one object a line: time, level, scope, message
};

/// Where log lines go; made once by main(), handed down by reference.
class LogSink {
  public:
    virtual ~LogSink() = default;
    /// Thread: any. `scope` names who speaks ("vhost-user tag=home"), `message` is one line.
    virtual void write(LogLevel level, std::string_view scope, std::string_view message) = 0;
    [[nodiscard]] virtual bool enabled(LogLevel level) const = 0;
};

/// A sink that speaks for one object: cheap to copy, outlived by the sink. Lines are not for
/// the data path: log what an operator must know, once, where it is understood.
class Logger {
  public:
    Logger(LogSink& sink, std::string scope) : sink_(&sink), scope_(std::move(scope)) {}

    /// The same sink, for a part of this object: scopes are joined by a space.
    [[nodiscard]] Logger child(std::string_view scope) const {
        return {*sink_,
                scope_.empty() ? std::string(scope) : fmt::format("{} {}", scope_, scope)};
    }

    template <class... Args>
    void debug(fmt::format_string<Args...> format, Args&&... args) const {
        log(LogLevel::debug, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) const {
        log(LogLevel::info, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void warning(fmt::format_string<Args...> format, Args&&... args) const {
        log(LogLevel::warning, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) const {
        log(LogLevel::error, format, std::forward<Args>(args)...);
    }

  private:
    template <class... Args>
    void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) const {
        if (!sink_->enabled(level)) return;
        sink_->write(level, scope_, fmt::format(format, std::forward<Args>(args)...));
    }

    LogSink* sink_;
    std::string scope_;
};

/// To standard error. Control characters in a message are written as \xNN (text) or \uNNNN
/// (json), so that one message is one line whatever a tenant has put into it.
std::unique_ptr<LogSink> make_stderr_sink(LogLevel minimum, LogFormat format = LogFormat::text);

}  // namespace dpfs
