#include "event_knowledge.h"

#include <string>
#include <utility>

#include "base/assert.h"

namespace kvasir {

// Gathers the events of one engine's step as a batch.
class EventKnowledge::Publisher final : public KvEventSink {
 public:
  void on_stored(const KvBlocksStored& event) override {
    begin();
    encoder_.stored(event);
  }
  void on_removed(const KvBlocksRemoved& event) override {
    begin();
    encoder_.removed(event);
  }
  void on_all_cleared() override {
    begin();
    encoder_.all_cleared();
  }
  void on_skipped(std::string_view) override {}

  bool has_batch() const { return begun_; }
  const std::string& take_batch() {
    begun_ = false;
    return encoder_.finish(0);
  }

 private:
  void begin() {
    if (!std::exchange(begun_, true)) encoder_.begin(0);
  }

  KvEventEncoder encoder_;
  bool begun_ = false;
};

EventKnowledge::EventKnowledge(Executor& executor, uint32_t engines, uint32_t readers, Duration lag)
    : executor_(executor), lag_(lag) {
  for (uint32_t i = 0; i < engines; ++i) publishers_.push_back(std::make_unique<Publisher>());
  for (uint32_t i = 0; i < readers; ++i) {
    auto reader = std::make_unique<Reader>();
    reader->tracker = std::make_unique<CacheTracker>(CacheTrackerOptions{});
    for (uint32_t engine = 0; engine < engines; ++engine) {
      const auto source =
          reader->tracker->add_source(EndpointId(engine), 0, "worker-" + std::to_string(engine));
      KVASIR_ASSERT(source, "there are few engines");
      reader->tracker->set_freshness(*source, KvFreshness::kExact);
      reader->sources.push_back(*source);
    }
    readers_.push_back(std::move(reader));
  }
}

EventKnowledge::~EventKnowledge() = default;

KvEventSink& EventKnowledge::sink(uint32_t engine) {
  return *publishers_[engine];
}

void EventKnowledge::step_finished(uint32_t engine) {
  Publisher& publisher = *publishers_[engine];
  if (!publisher.has_batch()) return;
  const std::string& batch = publisher.take_batch();
  if (lag_ <= Duration::zero()) return deliver(engine, batch);
  executor_.after(lag_, [this, engine, batch] { deliver(engine, batch); });
}

void EventKnowledge::deliver(uint32_t engine, const std::string& batch) {
  for (const auto& reader : readers_) {
    const auto applied = reader->tracker->apply(reader->sources[engine], batch, executor_.now());
    KVASIR_ASSERT(applied, "what was written can be read");
    while (reader->tracker->tidy(executor_.now())) {
    }
  }
}

}  // namespace kvasir
