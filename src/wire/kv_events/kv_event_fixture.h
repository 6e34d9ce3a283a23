// For tests: keeps what a decoder tells, as values that can be compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

struct RecordedKvEvent {
  std::string type;  // "stored", "removed", "cleared", or "skipped"
  std::vector<uint64_t> hashes = {};
  std::optional<uint64_t> parent = {};
  std::vector<uint32_t> tokens = {};
  uint32_t block_size = 0;
  KvMedium medium = KvMedium::kGpu;
  std::string lora_name = {};
  std::string cache_salt = {};
  std::vector<uint64_t> extras = {};
  uint32_t group = 0;
  KvSpecKind spec = KvSpecKind::kFull;
  std::string why = {};  // it was skipped

  bool operator==(const RecordedKvEvent&) const = default;
};

class KvEventRecorder final : public KvEventSink {
 public:
  void on_stored(const KvBlocksStored& event) override {
    events.push_back({.type = "stored",
                      .hashes = {event.block_hashes.begin(), event.block_hashes.end()},
                      .parent = event.parent_block_hash,
                      .tokens = {event.token_ids.begin(), event.token_ids.end()},
                      .block_size = event.block_size,
                      .medium = event.medium,
                      .lora_name = std::string(event.lora_name),
                      .cache_salt = std::string(event.cache_salt),
                      .extras = {event.extras.begin(), event.extras.end()},
                      .group = event.group,
                      .spec = event.spec});
  }
  void on_removed(const KvBlocksRemoved& event) override {
    events.push_back({.type = "removed",
                      .hashes = {event.block_hashes.begin(), event.block_hashes.end()},
                      .medium = event.medium,
                      .group = event.group});
  }
  void on_all_cleared() override { events.push_back({.type = "cleared"}); }
  void on_skipped(std::string_view why) override {
    events.push_back({.type = "skipped", .why = std::string(why)});
  }

  std::vector<RecordedKvEvent> events;
};

// Bytes from hexadecimal digits; white space between them is left out.
inline std::string from_hex(std::string_view digits) {
  std::string bytes;
  int high = -1;
  for (const char digit : digits) {
    const int value = hex_value(digit);
    if (value < 0) continue;
    if (high >= 0) bytes.push_back(static_cast<char>(high * 16 + value));
    high = high >= 0 ? -1 : value;
  }
  return bytes;
}

}  // namespace kvasir
