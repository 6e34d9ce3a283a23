#include "apps/kv_event_flags.h"

#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "kvevents/event_address.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

constexpr const char* kConfigFlag = "--kv-events-config";
constexpr const char* kEnabledVariable = "VLLM_KV_EVENT_ENABLED";
constexpr const char* kEndpointVariable = "VLLM_KV_EVENT_ZMQ_ENDPOINT";
constexpr const char* kIntervalVariable = "VLLM_KV_EVENT_INTERVAL_MS";
constexpr uint64_t kBatchesMost = 10'000'000;
constexpr uint64_t kIntervalMsMost = 60'000;

const char* variable_text(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

Error config_error(const std::string& key, const std::string& why) {
  return Error{std::string(kConfigFlag) + ": " + key + " " + why};
}

// What stands in --kv-events-config.
class ConfigReader {
 public:
  explicit ConfigReader(const Json& config) : config_(config) {}

  bool truth(const char* key) {
    const Json* value = take(key);
    if (value == nullptr || value->is_null()) return false;
    if (!value->is_boolean()) fail(key, "is neither true nor false");
    return value->is_boolean() && value->get<bool>();
  }
  std::string text(const char* key, const std::string& otherwise) {
    const Json* value = take(key);
    if (value == nullptr || value->is_null()) return otherwise;
    if (!value->is_string()) fail(key, "is not a text");
    return value->is_string() ? value->get<std::string>() : otherwise;
  }
  uint64_t count(const char* key, uint64_t otherwise) {
    const Json* value = take(key);
    if (value == nullptr || value->is_null()) return otherwise;
    const bool fits = value->is_number_unsigned() && value->get<uint64_t>() > 0 &&
                      value->get<uint64_t>() <= kBatchesMost;
    if (!fits) fail(key, "is not a whole number from 1 to " + std::to_string(kBatchesMost));
    return fits ? value->get<uint64_t>() : otherwise;
  }
  bool has(const char* key) const { return config_.contains(key); }

  // The first thing that was wrong, a key that nobody took among them.
  std::optional<Error> finish() {
    for (const auto& member : config_.items()) {
      if (taken_.find("," + member.key() + ",") == std::string::npos) {
        fail(member.key(),
             "is not one of its keys: enable_kv_cache_events, publisher, endpoint, "
             "replay_endpoint, buffer_steps, hwm, max_queue_size, topic");
      }
    }
    return error_;
  }
  void fail(const std::string& key, const std::string& why) {
    if (!error_) error_ = config_error("'" + key + "'", why);
  }

 private:
  const Json* take(const char* key) {
    taken_.append(key).append(",");
    const auto found = config_.find(key);
    return found == config_.end() ? nullptr : &*found;
  }

  const Json& config_;
  std::string taken_ = ",";
  std::optional<Error> error_;
};

struct Asked {
  bool enabled = false;
  bool endpoint_given = false;
  KvEventPublisherOptions publisher;
};

Result<Asked> read_config(const std::string& text) {
  Asked asked;
  if (text.empty()) return asked;
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return Error{std::string(kConfigFlag) + ": not a JSON object: " + text};
  ConfigReader reader(config);
  asked.enabled = reader.truth("enable_kv_cache_events");
  const std::string publisher = reader.text("publisher", asked.enabled ? "zmq" : "null");
  if (publisher != "zmq" && publisher != "null") {
    reader.fail("publisher", "is '" + publisher + "': there are zmq and null");
  }
  asked.endpoint_given = reader.has("endpoint");
  KvEventPublisherOptions& of = asked.publisher;
  of.endpoint = reader.text("endpoint", of.endpoint);
  of.replay_endpoint = reader.text("replay_endpoint", "");
  of.topic = reader.text("topic", "");
  of.buffer_steps = static_cast<uint32_t>(reader.count("buffer_steps", of.buffer_steps));
  of.hwm = static_cast<int>(reader.count("hwm", static_cast<uint64_t>(of.hwm)));
  of.max_queue_size = static_cast<uint32_t>(reader.count("max_queue_size", of.max_queue_size));
  if (const std::optional<Error> error = reader.finish()) return *error;
  // vLLM makes the events then, and sends them nowhere.
  if (publisher == "null") asked.enabled = false;
  return asked;
}

// true, 1, yes, on, whatever their case; false and the like.
Result<bool> truth_of(const char* name) {
  std::string text = variable_text(name) == nullptr ? "false" : variable_text(name);
  for (char& letter : text) letter = static_cast<char>(std::tolower(letter));
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return Error{std::string(name) + ": '" + text + "' is neither true nor false"};
}

// As a vLLM with that --prefix-caching-hash-algo, and the same PYTHONHASHSEED, names blocks.
EngineHashOptions names_of(const std::string& algorithm) {
  EngineHashOptions names;
  names.scheme = engine_hash_scheme("vllm-" + algorithm).value_or(EngineHashScheme::kVllmSha256);
  const char* seed = variable_text("PYTHONHASHSEED");
  names.seed = seed != nullptr ? seed : std::string(kVllmDefaultSeed);
  return names;
}

Result<Duration> interval() {
  const char* text = variable_text(kIntervalVariable);
  if (text == nullptr) return Duration::zero();
  const std::string_view value = text;
  uint64_t ms = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), ms);
  if (failure != std::errc() || end != value.data() + value.size() || ms > kIntervalMsMost) {
    return Error{std::string(kIntervalVariable) + ": '" + std::string(value) +
                 "' is no number of milliseconds up to " + std::to_string(kIntervalMsMost)};
  }
  return Duration(std::chrono::milliseconds(ms));
}

// `name`: which field the address stands in.
Result<void> move_to_rank(const std::string& name, uint32_t rank, std::string& address) {
  if (!address.empty() && address.find("://") == std::string::npos) {
    return Error{name + ": '" + address + "': tcp:// is missing, as in tcp://*:5557"};
  }
  Result<std::string> moved = publishing_address(address, rank);
  if (!moved) return Error{name + ": " + moved.error().message};
  address = std::move(*moved);
  return {};
}

}  // namespace

Result<std::optional<KvEventWriterOptions>> kv_event_options(const KvEventFlags& flags,
                                                             const std::string& pod_topic) {
  Result<Asked> asked = read_config(flags.kv_events_config);
  if (!asked) return asked.error();
  const Result<bool> enabled = truth_of(kEnabledVariable);
  if (!enabled) return enabled.error();
  if (!asked->enabled && !flags.enable_kv_events && !*enabled) {
    return std::optional<KvEventWriterOptions>();
  }
  KvEventWriterOptions options;
  options.publisher = std::move(asked->publisher);
  options.data_parallel_rank = flags.data_parallel_rank;
  if (!flags.prefix_caching_hash_algo.empty()) {
    options.names = names_of(flags.prefix_caching_hash_algo);
  }
  const Result<Duration> pause = interval();
  if (!pause) return pause.error();
  options.interval = *pause;
  KvEventPublisherOptions& of = options.publisher;
  std::string name = std::string(kConfigFlag) + ": 'endpoint'";
  uint32_t rank = flags.data_parallel_rank;
  if (const char* given = variable_text(kEndpointVariable); given && !asked->endpoint_given) {
    name = kEndpointVariable;
    rank = 0;  // the ranks of one worker share the manager's port
    of.endpoint = given;
    if (of.topic.empty()) of.topic = pod_topic;
  }
  const Result<void> events = move_to_rank(name, rank, of.endpoint);
  if (!events) return events.error();
  const Result<void> replay = move_to_rank(std::string(kConfigFlag) + ": 'replay_endpoint'",
                                           flags.data_parallel_rank, of.replay_endpoint);
  if (!replay) return replay.error();
  return std::optional(std::move(options));
}

std::string kv_events_are_off(const KvEventFlags& flags) {
  const Json config = Json::parse(flags.kv_events_config, nullptr, false);
  const bool given = config.is_object() && !config.empty();
  if (given && !config.contains("enable_kv_cache_events")) {
    return std::string(kConfigFlag) + " lacks \"enable_kv_cache_events\": true";
  }
  return std::string(kConfigFlag) + ", --enable-kv-events";
}

std::vector<std::string> kv_event_warnings(const KvEventWriterOptions& options,
                                           bool prefix_caching) {
  constexpr std::string_view kAnyAddress = "tcp://0.0.0.0:";
  std::vector<std::string> warnings;
  const std::string& endpoint = options.publisher.endpoint;
  if (endpoint.rfind(kAnyAddress, 0) == 0 && !is_bound_endpoint(endpoint)) {
    const std::string bound = "tcp://*:" + endpoint.substr(kAnyAddress.size());
    warnings.push_back(endpoint + " is connected to, by vLLM's rule: nobody can subscribe there; " +
                       bound + " is listened on");
  }
  if (!prefix_caching) {
    warnings.push_back("prefix caching is off (--no-enable-prefix-caching): no block is told of");
  }
  return warnings;
}

}  // namespace kvasir
