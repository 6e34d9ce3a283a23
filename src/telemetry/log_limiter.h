// Keeps an event that repeats from filling the log: of each kind so many lines in a second are
// written, and then one line says how many there were. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace kvasir {

struct LogLimits {
  uint32_t lines_per_window = 10;
  Duration window = std::chrono::seconds(1);
  // Kinds that are told apart. The kinds beyond are one, so that a client cannot make kinds.
  size_t kinds_max = 1024;
};

class LogLimiter {
 public:
  // Lines of one kind that were held back in a window that is over.
  struct HeldBack {
    std::string kind;
    uint64_t lines = 0;
  };

  explicit LogLimiter(LogLimits limits = {}) : limits_(limits) {}

  // Whether one more line of this kind may be written. Times never run backwards.
  bool admit(std::string_view kind, TimePoint now);
  // Each is told once.
  std::vector<HeldBack> take_held_back(TimePoint now);
  // Whether take_held_back() will have something to tell by and by.
  bool any_held_back() const { return held_back_ > 0; }
  // Of all kinds, ever.
  uint64_t held_back_total() const { return held_back_total_; }

 private:
  struct Window {
    TimePoint start{};
    uint32_t lines = 0;
    uint64_t held_back = 0;
  };

  Window& window_of(std::string_view kind, TimePoint now);
  void forget_idle(TimePoint now);

  const LogLimits limits_;
  std::map<std::string, Window, std::less<>> windows_;
  uint64_t held_back_ = 0;  // and not told
  uint64_t held_back_total_ = 0;
};

}  // namespace kvasir
