#include "wire/kv_events/kv_event_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "wire/kube/kube_names.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

// The member of that name, if it is of the kind that `is` asks for.
const nlohmann::json* kv_member(const nlohmann::json& event, const char* name,
                                bool (nlohmann::json::*is)() const noexcept) {
  const auto found = event.find(name);
  return found != event.end() && ((*found).*is)() ? &*found : nullptr;
}

template <class Number>
std::optional<Number> kv_number(const nlohmann::json& event, const char* name) {
  const nlohmann::json* found = kv_member(event, name, &nlohmann::json::is_number_unsigned);
  if (found == nullptr) return std::nullopt;
  const uint64_t value = found->get<uint64_t>();
  if (value > std::numeric_limits<Number>::max()) return std::nullopt;
  return static_cast<Number>(value);
}

std::string kv_text(const nlohmann::json& event, const char* name) {
  const nlohmann::json* found = kv_member(event, name, &nlohmann::json::is_string);
  return found != nullptr ? found->get<std::string>() : std::string();
}

std::optional<KvJsonEvent::Type> kv_json_type(std::string_view name) {
  if (name == "BLOCK_CREATED") return KvJsonEvent::Type::kCreated;
  if (name == "BLOCK_EVICTED") return KvJsonEvent::Type::kEvicted;
  if (name == "BLOCK_UPDATED") return KvJsonEvent::Type::kUpdated;
  return std::nullopt;
}

void read_kv_event(const nlohmann::json& event, KvJsonEvents& read) {
  if (!event.is_object()) return read.skipped.push_back("an event is not an object");
  const std::optional<KvJsonEvent::Type> type = kv_json_type(kv_text(event, "event_type"));
  if (!type) return read.skipped.push_back("an event of an unknown type, or without one");
  KvJsonEvent result = {.type = *type,
                        .pod_id = kv_text(event, "pod_id"),
                        .block_hash = kv_text(event, "block_hash"),
                        .layer_id = kv_number<uint32_t>(event, "layer_id"),
                        .num_tokens = kv_number<uint32_t>(event, "num_tokens"),
                        .cache_size_bytes = kv_number<uint64_t>(event, "cache_size_bytes")};
  if (result.block_hash.empty()) return read.skipped.push_back("an event without a block_hash");
  if (const std::optional<int64_t> at = rfc3339_seconds(kv_text(event, "timestamp"))) {
    result.timestamp = static_cast<double>(*at);
  }
  read.events.push_back(std::move(result));
}

// The last eight bytes of a digest in hexadecimal; nullopt: it is not one.
std::optional<uint64_t> end_of_digest(std::string_view hash) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr size_t kDigits = 64;
  if (hash.substr(0, kPrefix.size()) == kPrefix) hash.remove_prefix(kPrefix.size());
  const auto is_hex = [](char digit) { return hex_value(digit) >= 0; };
  if (hash.size() != kDigits || !std::all_of(hash.begin(), hash.end(), is_hex)) return std::nullopt;
  uint64_t name = 0;
  for (const char digit : hash.substr(kDigits - 16)) {
    name = name << 4 | static_cast<uint64_t>(hex_value(digit));
  }
  return name;
}

}  // namespace

Result<KvJsonEvents> read_kv_json_events(std::string_view text) {
  if (text.size() > kKvJsonBytesMax) {
    return Error{"KV events as JSON: " + std::to_string(text.size()) + " bytes, more than " +
                 std::to_string(kKvJsonBytesMax)};
  }
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false, true);
  if (parsed.is_discarded()) return Error{"KV events as JSON: the text is not JSON"};
  KvJsonEvents read;
  if (parsed.is_array()) {
    for (const nlohmann::json& event : parsed) read_kv_event(event, read);
  } else {
    read_kv_event(parsed, read);
  }
  return read;
}

uint64_t kv_block_name(std::string_view block_hash) {
  const std::optional<uint64_t> digest = end_of_digest(block_hash);
  return digest ? *digest : XXH3_64bits(block_hash.data(), block_hash.size());
}

}  // namespace kvasir
