// What a simulated worker runs: vLLM V1's continuous batching on virtual time.
//
// One step computes at most max_num_batched_tokens tokens: running sequences first (one token each when
// decoding, what is left of the prompt when prefilling), then waiting sequences in order while budget,
// seats (max_num_seqs) and free blocks remain. KV blocks are paged and prefix-cached; free blocks stay
// cached until evicted, least recently used first. When a running sequence needs a block and none is
// free, the sequence admitted last is preempted: its blocks are freed, it waits at the front and is
// recomputed. (By priority: the one that would have been admitted last is preempted, and waits at its
// place.)
//
// The engine knows no clock, socket or thread: its owner starts a step, lets the returned duration pass
// and finishes it. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/block_hash.h"
#include "timing/engine_profile.h"
#include "tokens/vocabulary.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

class KvMemory;

// Names a sequence for the life of its engine.
enum class SequenceId : uint64_t {};

enum class WaitingOrder {
  kFcfs,      // first come, first served
  kPriority,  // lower SequenceRequest::priority first, then first come
};

struct EngineOptions {
  WaitingOrder order = WaitingOrder::kFcfs;
  bool prefix_caching = true;
  // Blocks that the GPU's cache gave up and the host's memory keeps; 0: none. A prefix that is
  // found there costs the time of its way to the GPU, at the profile's host_link_gb_per_s.
  uint32_t cpu_blocks = 0;
  // Bytes for the blocks, at least as many as the profile has; then each token of an answer without
  // a script is a function of them (Engine). Null: blocks have none (simulations on virtual time).
  std::shared_ptr<KvMemory> memory = {};
};

// The tokens of an answer that is fixed beforehand. When they are used up, the end of sequence follows for
// as long as the engine goes on.
struct AnswerScript {
  std::vector<TokenId> tokens;

  TokenId at(uint32_t position) const {
    return position < tokens.size() ? tokens[position] : kEndOfSequence;
  }
};

struct SequenceRequest {
  std::vector<TokenId> prompt;  // at least one token
  uint32_t max_tokens = 1;      // at least 1; prompt and answer together fit max_model_len
  // The answer is a function of this number (see answer_seed()) and, in an engine with memory, of
  // the bytes of its blocks; of nothing else. With a script it is that.
  uint64_t answer_seed = 0;
  std::shared_ptr<const AnswerScript> script = {};
  // Prompts share cached blocks only under the same salt.
  uint64_t cache_salt = 0;
  int priority = 0;
  // What the two parts of cache_salt are called in KV events; empty: there is none.
  std::string adapter = {};
  std::string salt_text = {};
  // When it ends by its limit, its full prompt blocks stay in use until release_kept().
  bool keep_blocks = false;
  // So many leading full blocks of its prompt come from elsewhere (vLLM: WAITING_FOR_REMOTE_KVS):
  // once there is room for them take_wanted() names it, and it goes on after arrived(). Of more
  // than leave one token of the prompt to compute, those that do.
  uint32_t remote_blocks = 0;
};

// Blocks of one sequence that are not the prefix cache's to give away, in the order of its prompt.
struct KeptBlocks {
  std::vector<uint32_t> blocks;
  std::vector<BlockHash> hashes;  // empty in an engine that hashes nothing
};

// Room for blocks that come from elsewhere: blocks[i] is to hold the prompt's block first + i.
// There are none when all were found here: the sequence waits for nobody then.
struct WantedBlocks {
  SequenceId sequence{};
  uint32_t first = 0;
  std::vector<uint32_t> blocks;
};

// The seed of one choice's answer: a function of the worker's seed, the prompt, the sampling fields (as one
// hash) and the choice's index; never of worker, batch or order.
uint64_t answer_seed(uint64_t seed, const std::vector<TokenId>& prompt, uint64_t sampling_hash,
                     uint32_t choice);
// The `position`th token (0 first) of the answer: always a word with a leading space.
TokenId answer_token(uint64_t answer_seed, uint32_t position);

struct SequenceTimes {
  TimePoint submitted{};
  TimePoint scheduled{};    // first admission
  TimePoint first_token{};  // end of the step that produced it
};

// One token, made by the step that just finished. The last one of a sequence has `finished` set (its length
// limit was reached); its blocks are free from then on.
struct TokenEvent {
  SequenceId sequence{};
  TokenId token = 0;
  uint32_t position = 0;  // 0 for the first
  bool finished = false;
  uint32_t cached_tokens = 0;  // of the prompt, at first admission
  uint32_t external_tokens = 0;  // of those, from elsewhere
  SequenceTimes times;
};

// Totals since the engine was made, and gauges of now. Names follow vLLM's metrics.
struct EngineStats {
  uint32_t num_requests_running = 0;
  uint32_t num_requests_waiting = 0;  // those whose blocks are on their way, too
  double kv_cache_usage = 0;          // share of blocks in use by sequences, 0 to 1
  uint64_t prefix_cache_queries = 0;  // tokens looked up at first admission
  uint64_t prefix_cache_hits = 0;     // tokens of them found
  uint64_t cpu_cache_hits = 0;        // of those, in the CPU tier
  uint64_t external_prefix_cache_queries = 0;  // tokens not found here, at first admission
  uint64_t external_prefix_cache_hits = 0;     // tokens that came from elsewhere
  uint32_t cpu_blocks = 0;            // in the CPU tier now
  uint64_t num_preemptions = 0;
  uint64_t prompt_tokens = 0;      // computed or found by finished prefills
  uint64_t generation_tokens = 0;
  uint64_t steps = 0;
};

// With EngineOptions::memory, a token is a function of the sequence's seed, its position, the bytes
// of all full blocks of prompt and answer before it (each is read once, when its tokens are there:
// computed here, found in a cache, or arrived), and of one of these blocks that is read again. How
// a prompt is cut into steps, who runs beside it, preemption, hits and transfers change nothing;
// one wrong byte does.
class Engine {
 public:
  // `events`, if any, is told of every change of the prefix cache when it happens, as vLLM's block
  // pool does it: blocks that a step fills in start_step(), once for each sequence; each evicted
  // block by itself, a copy of another too; blocks that are found again not at all. Its engine
  // hashes are BlockHashes. Whoever publishes them sends what has gathered when a step is finished.
  // It must outlive the engine.
  Engine(const EngineProfile& profile, const EngineOptions& options, KvEventSink* events = nullptr);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Why this request can never run here (empty prompt, longer than max_model_len, more blocks than there are).
  Result<void> check(uint64_t prompt_tokens, uint32_t max_tokens) const;

  // Precondition: check() passes.
  SequenceId submit(SequenceRequest request, TimePoint now);

  // Forgets the sequence and frees its blocks, at once; while a step computes it, when the step
  // finishes; while blocks come to it from elsewhere, at arrived(). No event follows. A finished or
  // unknown sequence is ignored.
  void cancel(SequenceId sequence);

  // Starts a step when there is work and none is running: how long it takes. Nothing to do: nullopt.
  std::optional<Duration> start_step(TimePoint now);
  bool step_running() const;

  // Whether the running step computes on blocks that are still arriving().
  bool step_waits() const;

  // Ends the running step: what it made, in batch order. Valid until the next call. Precondition:
  // step_running() and not step_waits().
  const std::vector<TokenEvent>& finish_step(TimePoint now);

  // Tokens computed by the last step started.
  uint32_t last_step_tokens() const;

  EngineStats stats() const;

  // How many leading blocks of a prompt its prefix cache holds now, whoever uses them. `chain`: the
  // prompt's full blocks, hashed by hash_token_blocks() with its salt and the profile's block size.
  size_t cached_blocks(std::span<const BlockHash> chain) const;

  // Of a sequence with keep_blocks that has ended by its limit; nullptr: there is none. Valid until
  // release_kept(). Nobody else writes to the blocks.
  const KeptBlocks* kept(SequenceId sequence) const;
  void release_kept(SequenceId sequence);  // what is not kept is ignored

  // Who got room for blocks from elsewhere since the last call, in order. start_step() makes room,
  // also when it returns nullopt. A sequence whose blocks come waits, without a seat, and stops
  // nobody.
  std::vector<WantedBlocks> take_wanted();
  // Nobody writes to its wanted blocks any more. The first `blocks` of them hold what they should,
  // as far as whoever brought them knows, and are findable from now on; the rest is computed here.
  // Of a sequence that waits for none: ignored.
  void arrived(SequenceId sequence, uint32_t blocks);
  // Before arrived(): the first layers are there, so that it may take part in steps; a step that
  // computes it must not end before arrived().
  void arriving(SequenceId sequence);

  // Forgets every cached block. False when some sequence uses a block, or one is kept: then all
  // stay, as in vLLM.
  bool reset_prefix_cache();

  // The hash of each block that the prefix cache holds, as often as blocks hold it. For tests.
  std::vector<BlockHash> cached_hashes() const;

  // Whether the books balance: every block is free, or in use by as many sequences as it counts. For
  // tests: walks everything.
  bool consistent() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace kvasir
