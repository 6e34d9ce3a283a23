// What a NixlConnector counts. Its own thread counts, others look.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>

#include "base/guarded.h"
#include "transfer/kv_connector.h"

namespace kvasir {

struct NixlCounts {
  std::atomic<uint64_t> transfers{0}, bytes{0}, failed_transfers{0}, failed_notifications{0},
      late_notifications{0}, expired_requests{0}, offered_blocks{0}, refused_peers{0};
  Guarded<std::deque<KvTransferRecord>> records;
};

}  // namespace kvasir
