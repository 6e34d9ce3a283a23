#include "config/seed_plugins.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

Value text(std::string_view words, int line = 0) {
  return Value(std::string(words), line);
}

std::string short_number(double number) {
  std::string digits = std::to_string(number);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.back() == '.') digits.pop_back();
  return digits;
}

SeedTranslation decode_filter(Parameters&, const Value&) {
  return {"decode-filter", Value(),
          "endpoints whose llm-d.ai/role can decode, and those without a role"};
}

SeedTranslation prefill_filter(Parameters&, const Value&) {
  return {"prefill-filter", Value(), "endpoints whose llm-d.ai/role can prefill"};
}

SeedTranslation label_selector(Parameters& args, const Value& value) {
  const bool selects = args.any("matchLabels") != nullptr;
  const bool expresses = args.any("matchExpressions") != nullptr;
  return {"label-selector-filter", value,
          selects || expresses ? "endpoints with these labels"
                               : "it names no labels: every endpoint passes"};
}

SeedTranslation load_aware(Parameters& args, const Value& value) {
  const double queue = args.number("queueLengthWeight", 0.6, 0, 1);
  const double gpu = args.number("gpuUtilWeight", 0.4, 0, 1);
  const int64_t longest = args.integer("maxQueueLength", 10, 1);
  if (queue + gpu <= 0)
    args.fail("queueLengthWeight", "and gpuUtilWeight are both 0: nothing is left to score by");
  const int line = value.line();
  return {"seed-load-aware-scorer",
          Value(Value::Map{{"queueLengthWeight", Value(queue, line)},
                           {"gpuUtilWeight", Value(gpu, line)},
                           {"maxQueueLength", Value(longest, line)}},
                line),
          "the seed's formula, not llm-d's load-aware-scorer: queue length up to " +
              std::to_string(longest) + " weighs " + short_number(queue) + ", GPU utilisation " +
              short_number(gpu)};
}

SeedTranslation active_request(Parameters& args, const Value& value) {
  for (const char* key :
       {"requestTimeout", "idleThreshold", "maxBusyScore", "inFlightLoadProducerName"})
    args.ignore(key);
  return {"active-request-scorer", value, "requests that this router sent and that have not ended"};
}

SeedTranslation session_affinity(Parameters& args, const Value& value) {
  const Duration ttl = args.duration("ttl", std::chrono::seconds(300));
  const std::string stickiness = args.choice("stickiness", "high", {"low", "medium", "high"});
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(ttl).count();
  if (seconds < 1) args.fail("ttl", "must be at least 1s");
  const int line = value.line();
  return {"session-affinity-scorer",
          Value(Value::Map{{"strategy", text("session_id", line)},
                           {"evictionTtlSeconds", Value(seconds, line)}},
                line),
          "sessions by the header x-session-id, kept for " + std::to_string(seconds) +
              "s; how far they stick (stickiness " + stickiness +
              ") is decided by the weight alone"};
}

SeedTranslation precise_prefix(Parameters& args, const Value& value) {
  const double threshold = args.number("cacheHitThreshold", 0.5, 0, 1);
  const int64_t longest = args.integer("maxPrefixLength", 2048, 1);
  const int line = value.line();
  return {
      "seed-precise-prefix-cache-scorer",
      Value(Value::Map{{"cacheHitThreshold", Value(threshold, line)},
                       {"maxPrefixLength", Value(longest, line)}},
            line),
      "scores by what engines say of their caches where their KV events are heard (--kv-events, or "
      "cachePrefixTracking), elsewhere by what was sent there"};
}

SeedTranslation cache_manager(Parameters& args, const Value& value) {
  const std::string url = args.text("endpoint", "");
  if (url.compare(0, 7, "http://") != 0 || url.size() == 7) {
    args.fail("endpoint",
              "must be the URL of the KV-cache manager, such as http://kv-cache-manager:8080");
  }
  const Duration timeout = args.duration("timeout", std::chrono::milliseconds(50));
  const double threshold = args.number("cache_threshold", 0.5, 0, 1);
  const int line = value.line();
  const double milliseconds = to_milliseconds(timeout);
  if (milliseconds <= 0) args.fail("timeout", "must be longer than 0");
  return {"seed-kv-cache-manager-scorer",
          Value(Value::Map{{"endpoint", text(url, line)},
                           {"timeout", text(short_number(milliseconds) + "ms", line)},
                           {"cacheThreshold", Value(threshold, line)}},
                line),
          "asks " + url + " for scores before scheduling, for " + short_number(milliseconds) +
              "ms at most; hit rates under " + short_number(threshold) + " count as no hit"};
}

SeedTranslation composite(Parameters& args, const Value& value) {
  const int line = value.line();
  const Duration latency = args.duration("maxLatencyP99", std::chrono::milliseconds(500));
  Value::Map parameters;
  const struct {
    const char* key;
    double fallback;
  } shares[] = {
      {"cacheWeight", 0.5}, {"loadWeight", 0.3}, {"latencyWeight", 0.2}, };
  for (const auto& share : shares) {
    parameters.emplace_back(share.key, Value(args.number(share.key, share.fallback, 0, 1), line));
  }
  parameters.emplace_back("cacheHitThreshold", Value(args.number("minCacheHit", 0.5, 0, 1), line));
  const int64_t longest = args.integer("maxQueueLength", 10, 1);
  parameters.emplace_back("maxQueueLength", Value(longest, line));
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(latency).count();
  if (milliseconds < 1) args.fail("maxLatencyP99", "must be a millisecond at least");
  parameters.emplace_back("maxLatencyMs", Value(int64_t{milliseconds}, line));
  return {"seed-composite-scorer", Value(std::move(parameters), line),
          "cache, load and latency in one score, with gates at a queue of " +
              std::to_string(longest) + " and a P99 of " + short_number(to_milliseconds(latency)) +
              "ms"};
}

constexpr struct {
  std::string_view name;
  SeedTranslation (*translate)(Parameters& args, const Value& value);
} kTranslations[] = {
    {"DecodeFilter", decode_filter},
    {"PrefillFilter", prefill_filter},
    {"ByLabelSelector", label_selector},
    {"LoadAwareScorer", load_aware},
    {"ActiveRequestScorer", active_request},
    {"SessionAffinity", session_affinity},
    {"PrecisePrefixCacheScorer", precise_prefix},
    {"KVCacheManagerScorer", cache_manager},
    {"CompositeScorer", composite},
    {"DynamicRouting", composite},
};

}  // namespace

std::optional<SeedTranslation> translate_seed_plugin(std::string_view name, const Value& args,
                                                     std::vector<Remark>& errors) {
  for (const auto& translation : kTranslations) {
    if (translation.name != name) continue;
    Parameters parameters(args, name, "argument");
    SeedTranslation translated = translation.translate(parameters, args);
    append(errors, parameters.problems());
    translated.note = std::string(name) + " -> " + translated.type + ": " + translated.note;
    return translated;
  }
  return std::nullopt;
}

std::vector<std::string_view> seed_plugin_names() {
  std::vector<std::string_view> names;
  for (const auto& translation : kTranslations) names.push_back(translation.name);
  return names;
}

}  // namespace kvasir
