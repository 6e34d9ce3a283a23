#include "telemetry/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <string>

namespace kvasir {
namespace {

std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
std::atomic<LogEncoding> line_encoding{LogEncoding::kText};
std::mutex component_mutex;
std::string component_name = "kvasir";

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

}  // namespace

void set_log_level(LogLevel level) { minimum_level = level; }

void set_log_encoding(LogEncoding encoding) { line_encoding = encoding; }

void set_log_component(std::string_view component) {
  std::lock_guard<std::mutex> lock(component_mutex);
  component_name = component;
}

void log(LogLevel level, std::string_view message) {
  if (level < minimum_level.load(std::memory_order_relaxed)) return;
  const std::string time = timestamp();
  std::string line;
  {
    std::lock_guard<std::mutex> lock(component_mutex);
    append_log_line(line_encoding, {time, name_of(level), component_name, message}, line);
  }
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace kvasir
