// Scores that another process is asked for before a request is scheduled (a scorer itself never
// waits).
#pragma once

#include <string>

#include "base/clock.h"

namespace kvasir {

struct RemoteSource {
  std::string plugin;  // whose scores they are: RemoteScores::plugin
  std::string url;     // http://HOST:PORT
  Duration timeout{};  // of the whole call; after it the request goes on without
};

// Implemented by plugins that read Request::remote_scores.
class RemoteScoreReader {
 public:
  virtual ~RemoteScoreReader() = default;
  virtual RemoteSource remote_source() const = 0;
};

}  // namespace kvasir
