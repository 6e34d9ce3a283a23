// The generations under way, and the engine that works on them.
//
// Everything on the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "net/io/event_loop.h"
#include "vllm/api_error.h"
#include "worker/engine_loop.h"
#include "worker/generation.h"
#include "worker/kv_event_writer.h"
#include "worker/kv_transfers.h"
#include "worker/worker_metrics.h"

namespace kvasir {

// What of a request goes to the engine besides its prompts.
struct EngineFields {
  uint64_t cache_salt = 0;
  std::string salt_text;  // the request's own; empty: none
  int priority = 0;
  std::string adapter;  // its name; empty: the model itself
};

// The adapters with sequences under way, each once, in the order of their names.
struct AdaptersAtWork {
  std::vector<std::string> running;
  std::vector<std::string> waiting;  // for their first token, while the engine has a queue
};

// Answers that are planned for one request: what a large n can make the worker hold.
inline constexpr size_t kPlannedAnswersMost = 16;

class Generations final : private EngineLoop::Observer {
 public:
  // All must outlive the object. `seed`: of every answer; `block_size`: of the engine. `events`, if
  // any, listens to the engine and hears here when a step has finished.
  Generations(EventLoop& loop, Engine& engine, uint32_t block_size, double time_scale,
              uint64_t seed, WorkerMetrics& metrics, KvEventWriter* events);
  // The HTTP server must be gone by then: exchanges under way are not told.
  ~Generations() override;

  // Submits the sequences of `generation` and owns it until its answer is complete or its client
  // went away. `transfer_params`: the request's kv_transfer_params, JSON; empty: none.
  void start(std::unique_ptr<Generation> generation, EngineFields fields,
             std::string_view transfer_params);

  // KV blocks that come from other workers, and go to them.
  KvTransfers& transfers() { return transfers_; }

  AdaptersAtWork adapters() const;
  Duration lost_time() const { return engine_loop_.lost_time(); }
  // Model time.
  TimePoint now() const { return engine_loop_.now(); }

 private:
  class Running;
  class Handover;
  struct Sequence {
    Running* running;
    GenerationChoice* choice;
  };

  void on_step(const std::vector<TokenEvent>& events, TimePoint now) override;
  void on_wanted(std::vector<WantedBlocks> wanted) override;
  void begin_handovers(Running& running, std::string_view params);
  SequenceRequest request_of(Running& running, GenerationChoice& choice) const;
  void submit(Running& running, GenerationChoice& choice, SequenceRequest request);
  void submit_others(Running& running, const GenerationChoice& first);
  static void plan_answer(Generation& generation, GenerationChoice& choice);
  void take(const TokenEvent& event, TimePoint now);
  void finish_choice(const Sequence& sequence, const Finish& finish, TimePoint now);
  void flush(Running& running);
  void count_answer(Generation& generation, int status);
  void on_all_finished(Generation& generation);
  void fail(Running& running, const ApiError& error);
  void cancel_rest(Running& running);
  void drop(Running& running);

  Engine& engine_;
  const uint32_t block_size_;
  const uint64_t seed_;
  WorkerMetrics& metrics_;
  KvEventWriter* const events_;
  EngineLoop engine_loop_;
  KvTransfers transfers_;
  std::unordered_map<uint64_t, Sequence> sequences_;
  std::unordered_map<Running*, std::unique_ptr<Running>> running_;
  std::vector<Running*> touched_;      // by the step at hand
  std::vector<SequenceId> cancelled_;  // after the step at hand
  std::vector<Handover*> ended_;       // in the step at hand
};

}  // namespace kvasir
