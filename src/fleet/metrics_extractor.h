// Reads numbers from a page that every endpoint has (a plugin's, from a shared object:
// examples/plugin). Who reads the page, how often and for how long its numbers count is the
// scraper's business (feeds/metrics_scraper.h).
#pragma once

#include <string_view>

#include "base/result.h"
#include "fleet/snapshot.h"

namespace kvasir {

class MetricsExtractor {
 public:
  virtual ~MetricsExtractor() = default;

  // Of a whole page that came with status 200: what it says, `read_at` left out. Scorers find the
  // names in EngineDetails::attributes. An error: nothing of what is wanted is there, and why.
  // Called on the thread that feeds the pool, for every endpoint in every round: it must not block.
  virtual Result<EngineMetrics> extract(std::string_view page) const = 0;
};

}  // namespace kvasir
