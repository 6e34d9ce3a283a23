// What an engine's page says, of all workers of a proxy together, so that scorers of queues and
// caches work on proxies as they do on engines.
#pragma once

#include <string>
#include <vector>

#include "pdproxy/worker_poll.h"

namespace kvasir {

// vllm:num_requests_running and _waiting (sums) and kv_cache_usage_perc (the highest), of the
// workers that said it; what none said is absent. And how many did not answer.
void append_pair_metrics(const std::vector<PolledWorker>& answers, std::string& page);

}  // namespace kvasir
