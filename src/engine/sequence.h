// A sequence inside the engine: the prompt and the answer so far, as far as scheduling needs them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "model/block_hash.h"

namespace kvasir {

// How far the blocks are that come to a sequence from elsewhere.
enum class RemoteBlocks : uint8_t {
  kNone,      // none do, or they are there
  kWanted,    // there is no room for them yet
  kAwaited,   // on their way: the sequence is in no queue
  kArriving,  // on their way, and it may take part in steps
};

struct Sequence {
  SequenceId id{};
  int priority = 0;
  uint32_t prompt_tokens = 0;
  uint32_t max_tokens = 0;
  uint64_t answer_seed = 0;
  std::shared_ptr<const AnswerScript> script;  // null: the seed makes the answer
  SequenceTimes times;

  uint32_t generated = 0;  // tokens of the answer made so far; they stay when it is preempted
  uint32_t computed = 0;   // tokens whose KV is in `blocks`
  uint32_t scheduled = 0;  // tokens that the running step computes, 0 when it is not part of it
  bool running = false;    // admitted and not preempted since
  bool cancelled = false;  // to be forgotten when the running step finishes
  bool admitted_before = false;
  RemoteBlocks remote = RemoteBlocks::kNone;
  uint32_t cached_tokens = 0;    // of the prompt, at first admission
  uint32_t external_tokens = 0;  // of the prompt, that came from elsewhere

  std::vector<uint32_t> blocks;   // in the pool, one reference each
  uint32_t named_blocks = 0;      // the first of them, already findable in the prefix cache
  BlockHash root = 0;             // parent of the first block
  std::vector<BlockHash> hashes;  // of the full blocks of prompt and answer so far
  std::vector<TokenId> tail;      // the tokens after those; shorter than a block
  // For whoever listens to the blocks, else empty: the tokens of prompt and answer so far, and what
  // their namespace is called.
  std::vector<TokenId> told;
  std::string adapter;
  std::string salt_text;

  bool keep_blocks = false;
  uint32_t loaded = 0;        // tokens whose KV the latest admission loads from the CPU tier
  uint32_t remote_first = 0;  // blocks [first, end) of the prompt come from elsewhere
  uint32_t remote_end = 0;
  uint32_t arrived_end = 0;  // blocks before this one were not filled here
  // In an engine with memory: a hash over the bytes of the first `folded_blocks` blocks.
  uint32_t folded_blocks = 0;
  uint64_t fold = 0;

  uint32_t tokens() const { return prompt_tokens + generated; }
};

}  // namespace kvasir
