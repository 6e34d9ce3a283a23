// For tests: an engine with its own time, stepped until it has nothing to do.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/engine.h"
#include "engine/kv_memory.h"

namespace kvasir {

// 64 blocks of 16 tokens, 4 seats, a budget of 256 tokens; every step takes 1 ms and 1 us per
// token.
inline EngineProfile small_profile() {
  EngineProfile profile;
  profile.name = profile.model = "small";
  profile.max_model_len = 1024;
  profile.kv_tokens = 1024;
  profile.block_size = 16;
  profile.max_num_seqs = 4;
  profile.max_num_batched_tokens = 256;
  profile.step.overhead_ms = 1;
  profile.step.dense_ms_by_tokens = {{0, 0}, {1000, 1}};
  return profile;
}

// Bytes for its blocks.
inline std::shared_ptr<KvMemory> memory_of(const EngineProfile& profile) {
  return std::make_shared<KvMemory>(
      KvMemory::create(static_cast<uint32_t>(profile.kv_blocks()), KvLayout::of(profile)).value());
}

// Tokens first, first + 1, ...: prompts of different `first` share no block.
inline std::vector<TokenId> prompt_of(size_t tokens, TokenId first = 0) {
  std::vector<TokenId> prompt(tokens);
  std::iota(prompt.begin(), prompt.end(), first);
  return prompt;
}

inline SequenceRequest request_of(std::vector<TokenId> prompt, uint32_t max_tokens) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  return request;
}

class EngineRun {
 public:
  explicit EngineRun(const EngineProfile& profile = small_profile(),
                     const EngineOptions& options = {}, KvEventSink* sink = nullptr)
      : engine(profile, options, sink) {}

  SequenceId submit(SequenceRequest request) { return engine.submit(std::move(request), now); }
  SequenceId submit(std::vector<TokenId> prompt, uint32_t max_tokens) {
    return submit(request_of(std::move(prompt), max_tokens));
  }

  // One whole step; its events. None when there was nothing to do.
  std::vector<TokenEvent> step() {
    const auto duration = engine.start_step(now);
    if (!duration) return {};
    now += *duration;
    ++steps;
    const std::vector<TokenEvent> made = engine.finish_step(now);
    events.insert(events.end(), made.begin(), made.end());
    return made;
  }

  void run() {
    while (engine.stats().num_requests_running + engine.stats().num_requests_waiting > 0) {
      step();
      ASSERT_LT(steps, 100000) << "the engine does not come to rest";
    }
    EXPECT_TRUE(engine.consistent());
    EXPECT_EQ(engine.stats().kv_cache_usage, 0);
  }

  std::vector<TokenId> answer(SequenceId sequence) const {
    std::vector<TokenId> tokens;
    for (const TokenEvent& event : events) {
      if (event.sequence != sequence) continue;
      EXPECT_EQ(event.position, tokens.size());
      tokens.push_back(event.token);
    }
    return tokens;
  }

  // The first event of the sequence, which must have one.
  const TokenEvent& first(SequenceId sequence) const {
    for (const TokenEvent& event : events) {
      if (event.sequence == sequence) return event;
    }
    ADD_FAILURE() << "no token of sequence " << static_cast<uint64_t>(sequence);
    return events.front();
  }

  Engine engine;
  TimePoint now{};
  std::vector<TokenEvent> events;
  int steps = 0;
};

}  // namespace kvasir
