#include "plugins/producer/precise_matches.h"

#include <string>
#include <utility>
#include <vector>

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr int64_t kPortMost = 65'535;
constexpr double kWeightMost = 1000;

class Reader {
 public:
  Reader(std::string_view name, const Value& value, bool old_scorer, PluginContext& context)
      : name_(name), value_(value), old_scorer_(old_scorer), context_(context) {}

  Checked<PreciseSettings> read() {
    Parameters all(value_, name_);
    nested(all, "kvEventsConfig", [this](Parameters& fields) { read_events(fields); });
    if (!all.has("kvEventsConfig")) settings_.caches.emplace();
    nested(all, "indexerConfig", [this](Parameters& fields) { read_indexer(fields); });
    read_token_processor(all);
    const bool speculative = all.boolean("speculativeIndexing", false);
    const Duration lifetime = all.duration("speculativeTTL", std::chrono::seconds(2));
    if (lifetime <= Duration::zero()) all.fail("speculativeTTL", "must be longer than 0");
    if (speculative) settings_.expected_lifetime = lifetime;
    if (!all.boolean("guessWhenUnknown", true)) settings_.guess.prefix_blocks_max = 0;
    add_problems(all);
    if (!problems_.empty()) return problems_;
    return std::move(settings_);
  }

 private:
  template <class Read>
  void nested(Parameters& parent, const char* key, Read&& read) {
    const Value* value = parent.any(key);
    if (value == nullptr) return;
    if (value->map() == nullptr && !value->is_null()) return parent.fail(key, "must be a map");
    Parameters fields(*value, name_ + ": " + key);
    read(fields);
    add_problems(fields);
  }

  void without_effect(Parameters& fields, const char* key, const char* why) {
    if (fields.any(key) == nullptr) return;
    context_.note(std::string(key) + " has no effect here: " + why);
  }

  void read_events(Parameters& fields) {
    WantedCaches caches;
    caches.topic = fields.text("topicFilter", "");
    caches.bind = fields.text("zmqEndpoint", "");
    caches.by_endpoint = fields.boolean("discoverPods", true);
    // The form is seen by each event, whatever this says.
    fields.choice("engineType", "vllm", {"vllm", "sglang"});
    without_effect(fields, "concurrency", "one thread reads the events of all endpoints");
    nested(fields, "podDiscoveryConfig", [&](Parameters& discovery) {
      caches.port =
          static_cast<uint16_t>(discovery.integer("socketPort", caches.port, 1, kPortMost));
      const int64_t replay = discovery.integer("replaySocketPort", 0, -1, kPortMost);
      if (replay > 0) caches.replay_port = static_cast<uint16_t>(replay);
      for (const char* key : {"podLabelSelector", "podNamespace"}) {
        without_effect(discovery, key, "the pool's endpoints are subscribed to");
      }
    });
    if (caches.by_endpoint || !caches.bind.empty()) settings_.caches = std::move(caches);
  }

  void read_token_processor(Parameters& parent) {
    nested(parent, "tokenProcessorConfig", [this](Parameters& fields) {
      for (const char* key : {"blockSize", "blockSizeTokens"}) {
        without_effect(fields, key, "blocks are as large as the engines'");
      }
      for (const char* key : {"hashSeed", "hashAlgorithm"}) {
        without_effect(fields, key, "engines' hashes are names, and tokens are hashed our own way");
      }
    });
  }

  void read_indexer(Parameters& fields) {
    read_token_processor(fields);  // where releases before 2026 had it
    without_effect(fields, "prefixStoreConfig", "texts are tokenized as a whole");
    nested(fields, "kvBlockIndexConfig", [this](Parameters& index) {
      for (const char* key : {"inMemoryConfig", "inMemory", "costAwareMemoryConfig", "costAware"}) {
        without_effect(index, key, "there is one index; --kv-index-memory says how large");
      }
      for (const char* key : {"redisConfig", "redis", "valkeyConfig"}) {
        without_effect(index, key, "each process keeps the index of its own; all read all events");
      }
      for (const char* key : {"enableMetrics", "metricsLoggingInterval"}) {
        without_effect(index, key, "the index's numbers are on /metrics always");
      }
    });
    if (old_scorer_) {
      without_effect(fields, "tokenizersPoolConfig",
                     "tokens come from the engines, --tokenizer or a token-producer");
    } else if (fields.has("tokenizersPoolConfig")) {
      fields.any("tokenizersPoolConfig");
      fields.fail("tokenizersPoolConfig", "is not supported: configure a token-producer");
    }
    read_weights(fields);
  }

  void read_weights(Parameters& fields) {
    const Value* value = fields.any("kvCacheBackendConfigs");
    if (value == nullptr) return;
    if (value->list() == nullptr) {
      return fields.fail("kvCacheBackendConfigs", "must be a list of {name, weight}");
    }
    for (const Value& entry : *value->list()) {
      Parameters backend(entry, name_ + ": kvCacheBackendConfigs");
      const std::string tier = backend.text("name", "");
      const double weight = backend.number("weight", 0, 0, kWeightMost);
      if (tier == "gpu") {
        settings_.gpu_weight = weight;
      } else if (tier == "cpu") {
        settings_.slower_weight = weight;
      } else {
        context_.note("kvCacheBackendConfigs: '" + tier +
                      "' has no effect here: every tier slower than gpu counts as cpu");
      }
      add_problems(backend);
    }
  }

  void add_problems(const Parameters& fields) {
    for (const Remark& problem : fields.problems()) problems_.push_back(problem);
  }

  const std::string name_;
  const Value& value_;
  const bool old_scorer_;
  PluginContext& context_;
  PreciseSettings settings_;
  std::vector<Remark> problems_;
};

}  // namespace

Checked<PreciseSettings> read_precise_settings(std::string_view name, const Value& value,
                                               bool old_scorer, PluginContext& context) {
  return Reader(name, value, old_scorer, context).read();
}

}  // namespace kvasir
