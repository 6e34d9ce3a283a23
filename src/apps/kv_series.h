// Metrics of what is known of the engines' KV caches, for gateway and picker alike (names in
// docs/METRICS.md).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string>

#include "serving/journey_report.h"
#include "serving/kv_knowledge.h"
#include "serving/kv_news.h"
#include "serving/token_source.h"
#include "telemetry/handle_table.h"
#include "telemetry/metrics.h"

namespace kvasir {

// What was expected of an endpoint's cache, beside what its engine says that it found: they differ
// when tokens or blocks are not what the engine makes of a prompt. Thread-safe.
class KvPredictionSeries {
 public:
  // `registry` must outlive it.
  explicit KvPredictionSeries(MetricRegistry& registry) : registry_(registry) {}
  // Counts answers that say how much was cached, where that was predicted.
  void ended(const EndReport& report);

 private:
  static constexpr size_t kEndpointsMost = 10'000;

  struct PerEndpoint {
    Counter* predicted;
    Counter* actual;
    Counter* equal;
    Counter* more;
    Counter* less;
  };
  PerEndpoint make(const std::string& pod);

  MetricRegistry& registry_;
  HandleTable<PerEndpoint> endpoints_{kEndpointsMost};
};

// Where the tokens of prompts came from, or why they are unknown. Thread-safe.
class TokenSeries {
 public:
  explicit TokenSeries(MetricRegistry& registry) : registry_(registry) {}
  void found(const Tokens& tokens);

 private:
  static constexpr size_t kOrigins = 4;
  static constexpr size_t kReasons = 12;
  // Looked up once each: a look-up takes the registry's lock.
  template <class Make>
  void count(std::atomic<Counter*>& counter, Make&& make) {
    Counter* found = counter.load(std::memory_order_acquire);
    if (found == nullptr) counter.store(found = &make(), std::memory_order_release);
    found->add();
  }

  MetricRegistry& registry_;
  std::array<std::atomic<Counter*>, kOrigins> origins_{};
  std::array<std::atomic<Counter*>, kReasons> reasons_{};
};

// Of what is known now, as llm-d names it and as we do.
void add_kv_series(MetricRegistry& page, const KvStatistics& statistics);
std::string kv_page(const KvStatistics& statistics);

// A line for the log.
std::string kv_news_text(const Endpoint& endpoint, uint32_t rank, KvNews news,
                         std::string_view text);
bool is_warning(KvNews news);

}  // namespace kvasir
