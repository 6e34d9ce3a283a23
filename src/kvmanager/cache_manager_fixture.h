// For tests: a KV-cache manager with the naive index, fed by hand.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "hashing/token_blocks.h"
#include "kvindex/naive_block_index_fixture.h"
#include "kvmanager/cache_manager.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {

class SilentManagerProbe final : public CacheManagerProbe {
 public:
  bool wants_events() const override { return wants; }
  void on_event(const Event& event, Duration) override {
    events.push_back(std::string(event.type) + " " + std::string(event.pod));
  }
  void on_batch(Duration) override { ++batches; }
  void on_pod(std::string_view pod) override { pods.emplace_back(pod); }
  void on_bad_batch(std::string_view pod, std::string_view why) override {
    bad.push_back(std::string(pod) + ": " + std::string(why));
  }

  void on_no_place(std::string_view pod) override { unplaced.emplace_back(pod); }
  void on_forgotten(std::string_view pod) override { forgotten.emplace_back(pod); }

  bool wants = false;
  std::vector<std::string> events, pods, bad, unplaced, forgotten;
  size_t batches = 0;
};

class ManagedFleet {
 public:
  explicit ManagedFleet(const CacheManagerOptions& options = {})
      : ManagedFleet(options, std::make_unique<NaiveBlockIndex>(options.tracker.index)) {}
  ManagedFleet(const CacheManagerOptions& options, std::unique_ptr<BlockIndex> index)
      : manager(std::make_shared<CacheManager>(
            options, clock, probe,
            std::make_unique<CacheTracker>(options.tracker, std::move(index)))) {
    clock.set(TimePoint(std::chrono::hours(1)));
  }

  // A pod by a topic that it publishes under.
  KvSourceId publisher(const std::string& topic, KvFreshness freshness = KvFreshness::kExact) {
    const auto found = manager->find(topic);
    const KvSourceId source = *manager->add_source(found->first, 0, found->second.name);
    manager->set_topic(source, topic);
    manager->set_freshness(source, freshness);
    return source;
  }
  // The blocks of `tokens`, in blocks of 4, named `first_name`, `first_name` + 1, ...
  void store(KvSourceId source, const std::vector<uint32_t>& tokens, uint64_t first_name,
             std::string_view lora = {}) {
    std::vector<uint64_t> names;
    for (size_t i = 0; i < tokens.size() / 4; ++i) names.push_back(first_name + i);
    KvBlocksStored event;
    event.block_hashes = names;
    event.token_ids = tokens;
    event.block_size = 4;
    event.lora_name = lora;
    KvEventEncoder encoder;
    encoder.begin(++stamp);
    encoder.stored(event);
    static_cast<void>(manager->apply(source, encoder.finish(0), clock.now()));
  }
  void remove(KvSourceId source, const std::vector<uint64_t>& names) {
    KvEventEncoder encoder;
    encoder.begin(++stamp);
    encoder.removed({names});
    static_cast<void>(manager->apply(source, encoder.finish(0), clock.now()));
  }
  void json(std::string_view text, std::string_view topic = "kv-events") {
    manager->on_json(topic, text);
  }
  ScoreReport score(std::string_view question) {
    const Result<ScoreQuery> query = read_score_query(question);
    return query ? manager->score(*query) : ScoreReport{};
  }

  ManualClock clock;
  SilentManagerProbe probe;
  std::shared_ptr<CacheManager> manager;
  double stamp = 0;
};

}  // namespace kvasir
