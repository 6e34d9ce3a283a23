// The generations under way, and the engine that works on them.
//
// Everything on the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "net/io/event_loop.h"
#include "worker/engine_loop.h"
#include "worker/generation.h"
#include "worker/kv_event_writer.h"
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
  // All must outlive the object. `seed`: of every answer. `events`, if any, listens to the engine
  // and hears here when a step has finished.
  Generations(EventLoop& loop, Engine& engine, double time_scale, uint64_t seed,
              WorkerMetrics& metrics, KvEventWriter* events);
  // The HTTP server must be gone by then: exchanges under way are not told.
  ~Generations() override;

  // Submits the sequences of `generation` and owns it until its answer is complete or its client
  // went away.
  void start(std::unique_ptr<Generation> generation, const EngineFields& fields);

  size_t size() const { return running_.size(); }
  AdaptersAtWork adapters() const;
  Duration lost_time() const { return engine_loop_.lost_time(); }
  // Model time.
  TimePoint now() const { return engine_loop_.now(); }

 private:
  class Running;
  struct Sequence {
    Running* running;
    GenerationChoice* choice;
  };

  void on_step(const std::vector<TokenEvent>& events, TimePoint now) override;
  static void plan_answer(Generation& generation, GenerationChoice& choice);
  void take(const TokenEvent& event, TimePoint now);
  void finish_choice(const Sequence& sequence, const Finish& finish, TimePoint now);
  void on_all_finished(Generation& generation);
  void drop(Running& running);

  Engine& engine_;
  const uint64_t seed_;
  WorkerMetrics& metrics_;
  KvEventWriter* const events_;
  EngineLoop engine_loop_;
  std::unordered_map<uint64_t, Sequence> sequences_;
  std::unordered_map<Running*, std::unique_ptr<Running>> running_;
  std::vector<Running*> touched_;      // by the step at hand
  std::vector<SequenceId> cancelled_;  // after the step at hand
};

}  // namespace kvasir
