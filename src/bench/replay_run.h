// A whole replay: runs the loop until every row has its outcome, writes them to a file as they
// come, and shows progress.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/replay.h"

namespace kvasir {

struct ReplayRunOptions {
  ReplayOptions replay;
  std::string output_file;  // a JSON line for each outcome; empty: none
  std::string label;        // before the progress
  // SIGINT and SIGTERM end the replay: the outcomes so far are its result.
  bool stop_at_signals = false;
  // Asked every second; an answer ends the replay with that error.
  std::function<std::optional<Error>()> why_abort;
};

// The outcomes in the order of the rows: of every row, unless a signal came before.
Result<std::vector<Outcome>> run_replay(EventLoop& loop, const Workload& workload,
                                        const ReplayRunOptions& options);

}  // namespace kvasir
