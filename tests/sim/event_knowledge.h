// What a gateway knows of simulated engines by their KV events, on the way that they take in life:
// told by the engine's block pool, written as vLLM's publisher writes them, and read by a
// CacheTracker some time later. Only ZeroMQ is missing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "kvevents/cache_tracker.h"
#include "wire/kv_events/kv_event.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {

class EventKnowledge {
 public:
  // `lag`: from the end of a step until everybody has read its events. Each of `readers` has an
  // index of its own. `executor` must outlive the object.
  EventKnowledge(Executor& executor, uint32_t engines, uint32_t readers, Duration lag);
  ~EventKnowledge();
  EventKnowledge(const EventKnowledge&) = delete;
  EventKnowledge& operator=(const EventKnowledge&) = delete;

  // What the engine of that number tells of its blocks.
  KvEventSink& sink(uint32_t engine);
  // Sends the events that have come since the last time: a step of the engine has finished.
  void step_finished(uint32_t engine);

  CacheTracker& of_reader(uint32_t reader) { return *readers_[reader]->tracker; }

 private:
  class Publisher;
  struct Reader {
    std::unique_ptr<CacheTracker> tracker;
    std::vector<KvSourceId> sources;  // by engine
  };

  void deliver(uint32_t engine, const std::string& batch);

  Executor& executor_;
  const Duration lag_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

}  // namespace kvasir
