// How far a replay is, on standard error: one line that is written over when that is a terminal,
// else a line every ten seconds.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "bench/replay.h"

namespace kvasir {

// "kv [#####.....] 512/1000 done, 540 sent, 0 errors, 28 in flight, 61 s"
std::string progress_text(const std::string& label, const ReplayProgress& progress,
                          Duration elapsed);

class ProgressLine {
 public:
  // `label` names what is replayed; may be empty.
  explicit ProgressLine(std::string label);
  // Call it as often as you like: it writes at most twice a second. The first call is the start.
  void show(const ReplayProgress& progress, TimePoint now);
  // The last state, and the end of the line.
  void finish(const ReplayProgress& progress, TimePoint now);

 private:
  void write(const ReplayProgress& progress, TimePoint now);

  const std::string label_;
  const bool terminal_;
  std::optional<TimePoint> start_;  // when it was shown first
  TimePoint next_;
};

}  // namespace kvasir
