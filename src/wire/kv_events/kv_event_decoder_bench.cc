// How fast batches of KV events are read: those that a real vLLM published (tests/vllm/kv_events),
// large ones of the same kind with a vocabulary of 2,000 and one of 128,000 tokens; and what a
// naive reader takes, which makes a tree of each batch and copies the events out of it.
// `allocations` counts operator new per batch.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/allocation_count_fixture.h"
#include "base/random.h"
#include "wire/kv_events/kv_event_decoder.h"
#include "wire/kv_events/kv_event_encoder.h"
#include "wire/kv_events/kv_event_fixture.h"

namespace kvasir {
namespace {

using Frames = std::vector<std::string>;

Frames recorded_frames() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  Frames frames;
  for (const char* name : {"sha256_cbor", "xxhash_cbor"}) {
    std::ifstream file(std::string(root != nullptr ? root : ".") +
                       "/tests/vllm/kv_events/vllm-0.32.0-cpu-" + name + ".jsonl");
    for (std::string line; std::getline(file, line);) {
      const nlohmann::json entry = nlohmann::json::parse(line);
      if (entry["kind"] == "event")
        frames.push_back(from_hex(entry["payload_hex"].get<std::string>()));
    }
  }
  return frames;
}

// One prompt of 8,192 tokens in blocks of 16, as one batch each. Half of the ids of a large
// vocabulary take three bytes, half five.
Frames large_frames(uint32_t vocabulary) {
  Random random(5);
  Frames frames;
  KvEventEncoder encoder;
  for (int batch = 0; batch < 64; ++batch) {
    std::vector<uint64_t> hashes(512);
    std::vector<uint32_t> tokens(512 * 16);
    for (uint64_t& hash : hashes) hash = random.next();
    for (uint32_t& token : tokens) token = static_cast<uint32_t>(random.next() % vocabulary);
    encoder.begin(1.0);
    encoder.stored({.block_hashes = hashes, .token_ids = tokens, .block_size = 16});
    frames.push_back(encoder.finish(0));
  }
  return frames;
}

// Looks at everything once, and keeps nothing.
class SummingSink final : public KvEventSink {
 public:
  void on_stored(const KvBlocksStored& event) override {
    sum_ += event.block_hashes.back() + event.token_ids.back();
  }
  void on_removed(const KvBlocksRemoved& event) override { sum_ += event.block_hashes.back(); }
  void on_all_cleared() override { ++sum_; }
  void on_skipped(std::string_view) override { std::abort(); }

 private:
  uint64_t sum_ = 0;
};

size_t naive_decode(const std::string& frame) {
  const nlohmann::json batch = nlohmann::json::from_msgpack(frame);
  std::vector<RecordedKvEvent> events;
  for (const nlohmann::json& event : batch[1]) {
    RecordedKvEvent& read = events.emplace_back(RecordedKvEvent{.type = event["type"]});
    if (event.contains("block_hashes"))
      read.hashes = event["block_hashes"].get<std::vector<uint64_t>>();
    if (event.contains("token_ids")) read.tokens = event["token_ids"].get<std::vector<uint32_t>>();
  }
  return events.size();
}

template <class Decode>
void over_all(benchmark::State& state, const Frames& frames, Decode decode) {
  if (frames.empty()) return state.SkipWithError("no recorded frames: set KVASIR_SOURCE_DIR");
  size_t bytes = 0;
  for (const std::string& frame : frames) bytes += frame.size();
  for (const std::string& frame : frames) decode(frame);  // buffers grow now
  const uint64_t before = allocations;
  for (auto _ : state) {
    for (const std::string& frame : frames) decode(frame);
  }
  const double batches =
      static_cast<double>(state.iterations()) * static_cast<double>(frames.size());
  state.counters["allocations"] = static_cast<double>(allocations - before) / batches;
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(bytes));
}

void in_place(benchmark::State& state, const Frames& frames) {
  KvEventDecoder decoder;
  SummingSink sink;
  over_all(state, frames, [&](const std::string& frame) {
    if (!decoder.decode(frame, sink)) std::abort();
  });
}
void naive(benchmark::State& state, const Frames& frames) {
  over_all(state, frames,
           [](const std::string& frame) { benchmark::DoNotOptimize(naive_decode(frame)); });
}

struct KindOfFrames {
  const char* name;
  Frames frames;
};

std::vector<KindOfFrames> all_frames() {
  return {{"recorded", recorded_frames()},
          {"vocabulary_2k", large_frames(2'000)},
          {"vocabulary_128k", large_frames(128'000)}};
}

// For readers that are not ours: kind (16 bytes), length (4, little-endian) and bytes of each.
void write_frames(const std::vector<KindOfFrames>& kinds) {
  for (const KindOfFrames& kind : kinds) {
    for (const std::string& frame : kind.frames) {
      char head[20] = {};
      std::strncpy(head, kind.name, 16);
      const auto length = static_cast<uint32_t>(frame.size());
      std::memcpy(head + 16, &length, sizeof length);
      std::fwrite(head, 1, sizeof head, stdout);
      std::fwrite(frame.data(), 1, frame.size(), stdout);
    }
  }
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  const std::vector<kvasir::KindOfFrames> kinds = kvasir::all_frames();
  if (argc == 2 && std::string_view(argv[1]) == "--write_frames") {
    kvasir::write_frames(kinds);
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  for (const kvasir::KindOfFrames& kind : kinds) {
    benchmark::RegisterBenchmark((std::string("in_place/") + kind.name).c_str(), kvasir::in_place,
                                 kind.frames);
    benchmark::RegisterBenchmark((std::string("naive/") + kind.name).c_str(), kvasir::naive,
                                 kind.frames);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
