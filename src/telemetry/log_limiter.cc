#include "telemetry/log_limiter.h"

namespace kvasir {
namespace {

constexpr std::string_view kOtherKinds = "other things";

}  // namespace

LogLimiter::Window& LogLimiter::window_of(std::string_view kind, TimePoint now) {
  if (const auto known = windows_.find(kind); known != windows_.end()) return known->second;
  if (windows_.size() >= limits_.kinds_max) forget_idle(now);
  if (windows_.size() >= limits_.kinds_max) kind = kOtherKinds;
  const auto [made, fresh] = windows_.try_emplace(std::string(kind));
  if (fresh) made->second.start = now;
  return made->second;
}

void LogLimiter::forget_idle(TimePoint now) {
  std::erase_if(windows_, [&](const auto& entry) {
    return entry.second.held_back == 0 && now - entry.second.start >= limits_.window;
  });
}

// A window whose lines that were held back are not told yet stays until they are.
bool LogLimiter::admit(std::string_view kind, TimePoint now) {
  Window& window = window_of(kind, now);
  if (window.held_back == 0 && now - window.start >= limits_.window) window = Window{now, 0, 0};
  if (window.lines < limits_.lines_per_window) {
    ++window.lines;
    return true;
  }
  ++window.held_back;
  ++held_back_;
  ++held_back_total_;
  return false;
}

std::vector<LogLimiter::HeldBack> LogLimiter::take_held_back(TimePoint now) {
  std::vector<HeldBack> all;
  if (held_back_ == 0) return all;
  for (auto& [kind, window] : windows_) {
    if (window.held_back == 0 || now - window.start < limits_.window) continue;
    all.push_back({kind, window.held_back});
    held_back_ -= window.held_back;
    window = Window{now, 0, 0};
  }
  return all;
}

}  // namespace kvasir
