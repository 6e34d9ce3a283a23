// One event of a workload, given to an index.
#pragma once

#include "index/cache_workload.h"
#include "index/contender.h"

namespace kvasir {

inline void apply_event(const CacheWorkload& workload, const CacheEvent& event,
                        IndexContender& index) {
  switch (event.kind) {
    case CacheEvent::Kind::kStore:
      return index.store(workload.stored(event));
    case CacheEvent::Kind::kRemove:
      return index.remove(HolderId{event.worker}, {&event.value, 1});
    case CacheEvent::Kind::kClear:
      return index.clear(HolderId{event.worker});
  }
}

}  // namespace kvasir
