#include "telemetry/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "base/last_words.h"
#include "telemetry/line_writer.h"
#include "telemetry/log_limiter.h"

namespace kvasir {
namespace {

constexpr Duration kGather = std::chrono::milliseconds(5);
constexpr Duration kLastFlush = std::chrono::seconds(1);  // before an abort

struct LogState {
  std::string component = "kvasir";
  LogEncoding encoding = LogEncoding::kText;
  std::unique_ptr<LineWriter> writer;  // null: lines are written by who logs them
  LogLimiter limiter;
};

std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
std::mutex state_mutex;

// Never destroyed: a thread may log while the program ends. Use it under state_mutex.
LogState& state() {
  static LogState* const kState = new LogState;
  return *kState;
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const size_t size = std::strftime(text, sizeof text, "%FT%T", &parts);
  std::snprintf(text + size, sizeof text - size, ".%03dZ", static_cast<int>(milliseconds));
  return text;
}

constexpr const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "?";
}

void append_line(const LogState& log, LogLevel level, std::string_view message, std::string& out) {
  std::string cut;
  if (message.size() > kLogMessageBytesMax) {
    cut = message.substr(0, kLogMessageBytesMax);
    cut += " ... (" + std::to_string(message.size() - kLogMessageBytesMax) + " more bytes)";
    message = cut;
  }
  append_log_line(log.encoding, {timestamp(), name_of(level), log.component, message}, out);
}

void write_line(LogState& log, LogLevel level, std::string_view message) {
  std::string line;
  append_line(log, level, message, line);
  if (log.writer != nullptr) return log.writer->write(line);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

// What the thread adds: how many lines were dropped, and how many were held back.
// `told`: of the dropped ones, by this thread.
bool add_summaries(uint64_t dropped, uint64_t& told, std::string& lines) {
  std::lock_guard<std::mutex> lock(state_mutex);
  LogState& log = state();
  if (dropped > told) {
    append_line(log, LogLevel::kWarning,
                std::to_string(dropped - told) +
                    " log lines were dropped: standard error was not read fast enough",
                lines);
    told = dropped;
  }
  for (const auto& [kind, count] : log.limiter.take_held_back(SteadyClock().now())) {
    append_line(log, LogLevel::kWarning, std::to_string(count) + " more: " + kind, lines);
  }
  return log.limiter.any_held_back();
}

void flush_before_abort() {
  LineWriter* writer = nullptr;
  {
    const std::unique_lock<std::mutex> lock(state_mutex, std::try_to_lock);
    if (lock.owns_lock()) writer = state().writer.get();
  }
  if (writer != nullptr) writer->flush(kLastFlush);
}

std::terminate_handler usual_end = nullptr;

}  // namespace

void set_log_level(LogLevel level) { minimum_level = level; }

bool log_takes(LogLevel level) {
  return level >= minimum_level.load(std::memory_order_relaxed);
}

void set_log_encoding(LogEncoding encoding) {
  std::lock_guard<std::mutex> lock(state_mutex);
  state().encoding = encoding;
}

void set_log_component(std::string_view component) {
  std::lock_guard<std::mutex> lock(state_mutex);
  state().component = component;
}

void log(LogLevel level, std::string_view message) {
  if (!log_takes(level)) return;
  std::lock_guard<std::mutex> lock(state_mutex);
  write_line(state(), level, message);
}

void log_repeated(LogLevel level, std::string_view kind, std::string_view message) {
  if (!log_takes(level)) return;
  std::lock_guard<std::mutex> lock(state_mutex);
  LogState& log = state();
  const TimePoint now = SteadyClock().now();
  if (log.writer == nullptr) {
    for (const auto& [held, count] : log.limiter.take_held_back(now)) {
      write_line(log, LogLevel::kWarning, std::to_string(count) + " more: " + held);
    }
  }
  if (log.limiter.admit(kind, now)) write_line(log, level, message);
}

LogCounts log_counts() {
  std::lock_guard<std::mutex> lock(state_mutex);
  const LogState& log = state();
  return {log.writer != nullptr ? log.writer->dropped() : 0, log.limiter.held_back_total()};
}

LogThread::LogThread(const LogThreadOptions& options) {
  const LineWriterLimits limits{options.pending_bytes_max, kGather, options.flush_timeout};
  auto writer = std::make_unique<LineWriter>(options.descriptor, false, "standard error", limits,
                                             [told = uint64_t{0}](uint64_t dropped,
                                                                  std::string& lines) mutable {
                                               return add_summaries(dropped, told, lines);
                                             });
  {
    std::lock_guard<std::mutex> lock(state_mutex);
    state().writer = std::move(writer);
  }
  set_last_act(flush_before_abort);
  usual_end = std::set_terminate([] {
    flush_before_abort();
    usual_end();
  });
}

LogThread::~LogThread() {
  std::set_terminate(usual_end);
  set_last_act(nullptr);
  std::unique_ptr<LineWriter> writer;
  {
    std::lock_guard<std::mutex> lock(state_mutex);
    LogState& log = state();
    // Windows that are not over yet are told too.
    const TimePoint later = SteadyClock().now() + std::chrono::seconds(1);
    for (const auto& [kind, count] : log.limiter.take_held_back(later)) {
      write_line(log, LogLevel::kWarning, std::to_string(count) + " more: " + kind);
    }
    writer = std::move(log.writer);
  }
}

}  // namespace kvasir
