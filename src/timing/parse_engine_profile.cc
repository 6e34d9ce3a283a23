#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "timing/engine_profile.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

// Limits that keep every step of every profile within 2^63 nanoseconds: the longest possible step reads
// reads 2^20 rows of 2^24 tokens, or prefills 2^24 tokens after 2^24.
constexpr uint64_t kTokensMax = 1 << 24;
constexpr uint64_t kRowsMax = 1 << 20;
constexpr uint64_t kKvTokensMax = 1 << 30;
constexpr uint64_t kBlockSizeMax = 1 << 16;
constexpr double kMillisecondsMax = 1e5;
constexpr double kMillisecondsPerTokenMax = 1e-2;
constexpr size_t kTablePointsMax = 1024;
constexpr uint64_t kBytesPerTokenMax = 1 << 30;
constexpr uint64_t kMemoryBytesMax = uint64_t{1} << 50;
constexpr double kHostLinkMin = 1e-3;  // 1e9 bytes a second
constexpr double kHostLinkMax = 1e5;

// Finds the keys of an object that came twice, which a parsed object no longer shows.
class DuplicateKeys {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
        open_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        open_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!open_.back().insert(parsed.get<std::string>()).second)
          first_ = parsed.get<std::string>();
        break;
      default:
        break;
    }
    return true;
  }
  const std::optional<std::string>& first() const { return first_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> first_;
};

// Takes the keys of one JSON object one by one; remembers the first thing that was wrong.
class ObjectReader {
 public:
  // `object` must outlive the reader; `path` ends in a dot, or is empty.
  ObjectReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object())
      fail(path_.empty() ? "the profile" : path_.substr(0, path_.size() - 1), "must be an object");
  }

  std::string text(const char* key) {
    const Json* value = take(key);
    if (!value) return {};
    if (!value->is_string() || value->get_ref<const std::string&>().empty()) {
      fail(path_ + key, "must be a text that is not empty");
      return {};
    }
    return value->get<std::string>();
  }

  uint64_t integer(const char* key, uint64_t min, uint64_t max) {
    const Json* value = take(key);
    if (!value) return min;
    if (!value->is_number_unsigned() || value->get<uint64_t>() < min ||
        value->get<uint64_t>() > max) {
      fail(path_ + key,
           "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
      return min;
    }
    return value->get<uint64_t>();
  }
  // 0 when the key is missing.
  uint64_t optional_integer(const char* key, uint64_t max) {
    return has(key) ? integer(key, 1, max) : 0;
  }
  uint32_t integer32(const char* key, uint64_t min, uint64_t max) {
    return static_cast<uint32_t>(integer(key, min, max));
  }

  // From 0 to `max`.
  double number(const char* key, double max) {
    const Json* value = take(key);
    return value ? number_of(*value, path_ + key, max) : 0;
  }
  double number(const char* key, double min, double max) {
    const double value = number(key, max);
    if (value < min) fail(path_ + key, "must be a number from " + Json(min).dump());
    return value;
  }

  // Pairs of tokens and milliseconds: tokens ascend, milliseconds never fall.
  std::vector<std::pair<double, double>> table(const char* key) {
    std::vector<std::pair<double, double>> points;
    const Json* value = take(key);
    if (!value) return points;
    if (!value->is_array() || value->empty() || value->size() > kTablePointsMax) {
      fail(path_ + key, "must be a list of [tokens, ms] pairs");
      return points;
    }
    for (const Json& entry : *value) {
      const std::string where = path_ + key + "[" + std::to_string(points.size()) + "]";
      if (!entry.is_array() || entry.size() != 2) {
        fail(where, "must be a pair [tokens, ms]");
        return points;
      }
      points.emplace_back(number_of(entry[0], where + "[0]", kTokensMax),
                          number_of(entry[1], where + "[1]", kMillisecondsMax));
      check_ascending(points, where);
    }
    return points;
  }

  // 0 when the key is missing.
  double optional_number(const char* key, double max) { return has(key) ? number(key, max) : 0; }

  const Json* object(const char* key) { return take(key); }
  const Json* optional_object(const char* key) { return has(key) ? take(key) : nullptr; }

  bool has(std::string_view key) const {
    return object_.is_object() && object_.find(key) != object_.end();
  }

  // The first error: in what was taken, else a key that nobody took.
  std::optional<std::string> finish() {
    if (!object_.is_object()) return error_;
    for (const auto& entry : object_.items()) {
      if (!taken_.count(entry.key()))
        fail(path_ + entry.key(), "is not a key of an engine profile");
    }
    return error_;
  }

 private:
  const Json* take(const char* key) {
    if (!object_.is_object()) return nullptr;
    taken_.insert(key);
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    fail(path_ + key, "is missing");
    return nullptr;
  }

  double number_of(const Json& value, const std::string& where, double max) {
    // Written so that a NaN fails too.
    if (value.is_number() && value.get<double>() >= 0 && value.get<double>() <= max) {
      return value.get<double>();
    }
    fail(where, "must be a number from 0 to " + Json(max).dump());
    return 0;
  }

  void check_ascending(const std::vector<std::pair<double, double>>& points,
                       const std::string& where) {
    if (points.size() < 2) return;
    const auto& before = points[points.size() - 2];
    const auto& last = points.back();
    if (last.first <= before.first) fail(where, "must have more tokens than the pair before it");
    if (last.second < before.second) fail(where, "must not be faster than the pair before it");
  }

  void fail(const std::string& what, const std::string& why) {
    if (!error_) error_ = what + " " + why;
  }

  const Json& object_;
  const std::string path_;
  std::set<std::string> taken_;
  std::optional<std::string> error_;
};

StepTimes read_step(ObjectReader& reader) {
  StepTimes step;
  step.overhead_ms = reader.optional_number("overhead_ms", kMillisecondsMax);
  step.dense_ms_by_tokens = reader.table("dense_ms_by_tokens");
  if (reader.has("padded_above")) {
    step.padded_above = reader.integer32("padded_above", 0, kTokensMax);
  }
  if (reader.has("padding")) step.padding = reader.integer32("padding", 1, kTokensMax);
  step.prefill_attention_ms = reader.number("prefill_attention_ms", kMillisecondsPerTokenMax);
  step.decode_attention_ms = reader.number("decode_attention_ms", kMillisecondsPerTokenMax);
  step.sampling_floor_ms = reader.optional_number("sampling_floor_ms", kMillisecondsMax);
  step.sampling_ms_per_row = reader.optional_number("sampling_ms_per_row", kMillisecondsMax);
  return step;
}

EngineProfile read_profile(ObjectReader& reader) {
  EngineProfile profile;
  profile.name = reader.text("name");
  profile.model = reader.text("model");
  profile.max_model_len = reader.integer32("max_model_len", 2, kTokensMax);
  profile.block_size = reader.integer32("block_size", 1, kBlockSizeMax);
  profile.kv_tokens = reader.integer("kv_tokens", profile.block_size, kKvTokensMax);
  profile.max_num_seqs = reader.integer32("max_num_seqs", 1, kRowsMax);
  profile.max_num_batched_tokens = reader.integer32("max_num_batched_tokens", 1, kTokensMax);
  profile.gpu_memory_utilization = reader.number("gpu_memory_utilization", 1);
  profile.kv_bytes_per_token = reader.optional_integer("kv_bytes_per_token", kBytesPerTokenMax);
  profile.gpu_memory_bytes = reader.optional_integer("gpu_memory_bytes", kMemoryBytesMax);
  if (reader.has("host_link_gb_per_s")) {
    profile.host_link_gb_per_s = reader.number("host_link_gb_per_s", kHostLinkMin, kHostLinkMax);
  }
  return profile;
}

// `sources`: of the profile that both readers read.
std::optional<std::string> wrong_source(const Json& sources, const ObjectReader& reader,
                                        const ObjectReader& step_reader) {
  constexpr std::string_view kStep = "step.";
  if (!sources.is_object()) return "sources must be an object";
  for (const auto& [key, text] : sources.items()) {
    const bool of_step = std::string_view(key).starts_with(kStep);
    const bool known =
        of_step ? step_reader.has(std::string_view(key).substr(kStep.size())) : reader.has(key);
    if (!known) return "sources." + key + " is of no key of this profile";
    if (!text.is_string()) return "sources." + key + " must be a text";
  }
  return std::nullopt;
}

}  // namespace

Result<EngineProfile> parse_engine_profile(std::string_view json, const std::string& where) {
  DuplicateKeys duplicates;
  const Json document = Json::parse(json, std::ref(duplicates), false);
  if (document.is_discarded()) return Error{where + ": not JSON"};
  if (duplicates.first()) return Error{where + ": " + *duplicates.first() + " is there twice"};

  ObjectReader reader(document, "");
  EngineProfile profile = read_profile(reader);
  const Json* step = reader.object("step");
  const Json* sources = reader.optional_object("sources");
  if (const auto error = reader.finish()) return Error{where + ": " + *error};
  ObjectReader step_reader(*step, "step.");
  profile.step = read_step(step_reader);
  if (const auto error = step_reader.finish()) return Error{where + ": " + *error};
  if (sources != nullptr) {
    if (const auto error = wrong_source(*sources, reader, step_reader)) {
      return Error{where + ": " + *error};
    }
  }
  return profile;
}

}  // namespace kvasir
