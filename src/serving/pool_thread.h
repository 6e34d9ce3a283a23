// A Pool as one thread of a server uses it: what a request needs there and shares with no other
// thread. Lives on that thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "scheduling/decision_trace.h"
#include "serving/engine_calls.h"
#include "serving/pool.h"
#include "serving/remote_scores.h"
#include "serving/token_source.h"
#include "serving/tokenizer_jobs.h"

namespace kvasir {

class PoolThread {
 public:
  // More threads would give out the same request ids.
  static constexpr uint32_t kThreadsMost = 1024;

  // `index`: of the thread, below kThreadsMost. `pool` and `loop` must outlive it.
  PoolThread(Pool& pool, EventLoop& loop, uint32_t index);
  // Without a network: there are no remote scores.
  PoolThread(Pool& pool, Executor& executor, uint32_t index);
  ~PoolThread();

  Pool& pool() { return pool_; }
  Executor& executor() { return executor_; }
  TimePoint now() const { return clock_.now(); }
  Random& random() { return random_; }
  RequestId next_request_id() { return ++requests_ * kThreadsMost + index_; }

  // Of the configuration in use now.
  const std::shared_ptr<const RequestParsers>& parsers() { return in_use().parsers; }
  // Null: nobody is to be asked before a request is scheduled.
  const std::shared_ptr<const std::vector<RemoteService>>& remote_services() {
    return in_use().services;
  }
  // As the options say, else the objectives that came later; nullopt: there is none of that name.
  std::optional<int32_t> priority_of(std::string_view objective);
  bool reads_headers() { return pool_.reads_headers() || in_use().objectives != nullptr; }
  // Draws the model that a request for `model` is sent on with, and tells the probe; nullopt: it
  // stays. Once for each request.
  std::optional<std::string> rewritten_model(std::string_view model);
  // Sizes of the blocks of engines that say what they hold; empty: none does, or nobody listens.
  std::span<const uint32_t> exact_block_sizes();
  Duration expected_lifetime() { return in_use().expected_lifetime; }
  // Whether anybody needs the tokens of prompts: the configuration, or engines that say what they
  // hold.
  bool wants_tokens() { return in_use().tokens || !exact_block_sizes().empty(); }
  // While somebody does. After another call it may be another one.
  TokenSource& token_source();
  // Whether engines are asked, and not a service of its own.
  bool tokens_are_engines() { return !in_use().tokens; }
  // The model to ask about: as the service knows it, else `target`; empty: as the request says.
  std::string_view token_model(std::string_view target) {
    const auto& tokens = in_use().tokens;
    return tokens && !tokens->model.empty() ? std::string_view(tokens->model) : target;
  }
  // While remote_services() names somebody.
  RemoteScoreFetcher& remote_scores() { return *remote_scores_; }

  // Where a request goes that is for no model: the best endpoints there are, in turn, but not those
  // that were `tried`. `allowed`: only these, ascending; nullopt: all.
  std::optional<EndpointId> next_in_turn(std::span<const EndpointId> tried,
                                         const std::optional<std::vector<EndpointId>>& allowed);

  // A trace to write one decision into, and back.
  std::unique_ptr<DecisionTrace> take_trace();
  void give_trace(std::unique_ptr<DecisionTrace> trace);

 private:
  PoolThread(Pool& pool, Executor& executor, EventLoop* loop, uint32_t index);
  std::unique_ptr<TokenSource> make_token_source(bool of_engines, Duration deadline);
  std::optional<EngineAddress> next_engine();

  const Pool::InUse& in_use() {
    if (const uint64_t version = pool_.version(); version != version_) {
      in_use_ = pool_.in_use();
      version_ = version;
    }
    return in_use_;
  }

  Pool& pool_;
  Executor& executor_;
  const Clock& clock_;
  const uint32_t index_;
  std::optional<RemoteScoreFetcher> remote_scores_;
  Random random_;
  uint64_t requests_ = 0;
  uint32_t turn_ = 0;
  uint64_t version_ = 0;  // of in_use_
  Pool::InUse in_use_;
  std::optional<uint64_t> caches_version_;  // of block_sizes_
  std::vector<uint32_t> block_sizes_;
  EventLoop* const loop_;  // null: without a network
  // Made when they are needed first. Sources by their deadline, those of the engines by 0.
  std::optional<HttpEngineCalls> engine_calls_;
  std::optional<BackgroundTokenizerJobs> tokenizer_jobs_;
  std::map<Duration, std::unique_ptr<TokenSource>> token_sources_;
  std::vector<std::unique_ptr<DecisionTrace>> traces_;
};

}  // namespace kvasir
