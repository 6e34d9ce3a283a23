// Any bytes as a batch of KV events: whatever is told of them is whole, and what is told before a
// fault is told again the same. What was read is written in both forms, and read again the same.
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "wire/kv_events/kv_event_decoder.h"
#include "wire/kv_events/kv_event_encoder.h"
#include "wire/kv_events/kv_event_fixture.h"

namespace {

using kvasir::RecordedKvEvent;

constexpr kvasir::KvEventLimits kLimits = {.tokens_max = 100'000};

std::vector<RecordedKvEvent> decode(std::string_view batch) {
  static kvasir::KvEventDecoder decoder(kLimits);
  kvasir::KvEventRecorder recorder;
  (void)decoder.decode(batch, recorder).ok();
  return std::move(recorder.events);
}

void check(const RecordedKvEvent& event, size_t batch_bytes) {
  KVASIR_ASSERT(event.hashes.size() <= batch_bytes, "no more hashes than bytes");
  if (event.type != "stored") return;
  KVASIR_ASSERT(!event.hashes.empty(), "blocks are named");
  KVASIR_ASSERT(
      event.tokens.empty() || event.tokens.size() == event.hashes.size() * event.block_size,
      "whole blocks");
  KVASIR_ASSERT(event.extras.empty() || event.extras.size() == event.hashes.size(),
                "one for each block");
}

void write(const RecordedKvEvent& event, kvasir::KvEventEncoder& encoder) {
  if (event.type == "cleared") {
    encoder.all_cleared();
  } else if (event.type == "removed") {
    encoder.removed({.block_hashes = event.hashes, .medium = event.medium, .group = event.group});
  } else if (event.type == "stored") {
    encoder.stored({.block_hashes = event.hashes,
                    .parent_block_hash = event.parent,
                    .token_ids = event.tokens,
                    .block_size = event.block_size,
                    .medium = event.medium,
                    .lora_name = event.lora_name,
                    .cache_salt = event.cache_salt,
                    .extras = event.extras,
                    .group = event.group,
                    .spec = event.spec});
  }
}

// What does not come back as it was: a salt that stood where vLLM writes none, extras (as their own
// hashes), reasons.
void forget(RecordedKvEvent& event) {
  if (event.parent) event.cache_salt.clear();
  for (uint64_t& extra : event.extras) extra = extra != 0;
}

void check_written(std::vector<RecordedKvEvent> events, kvasir::KvEventForm form) {
  kvasir::KvEventEncoder encoder(form);
  encoder.begin(1.0);
  std::vector<RecordedKvEvent> expected;
  for (RecordedKvEvent& event : events) {
    if (event.type == "skipped") continue;
    write(event, encoder);
    forget(event);
    expected.push_back(std::move(event));
  }
  std::vector<RecordedKvEvent> read = decode(encoder.finish(0));
  for (RecordedKvEvent& event : read) forget(event);
  KVASIR_ASSERT(read == expected, "what was written is read the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view batch(reinterpret_cast<const char*>(data), size);
  const std::vector<RecordedKvEvent> events = decode(batch);
  for (const RecordedKvEvent& event : events) check(event, size);
  KVASIR_ASSERT(decode(batch) == events, "a decoder is used again");
  (void)kvasir::data_parallel_rank(batch);
  check_written(events, kvasir::KvEventForm::kMap);
  check_written(events, kvasir::KvEventForm::kArray);
  return 0;
}
