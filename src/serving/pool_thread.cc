#include "serving/pool_thread.h"

#include <algorithm>
#include <utility>

#include "kvindex/exact_caches.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// Most decisions are made at once; only held requests keep theirs.
constexpr size_t kTracesKept = 64;

}  // namespace

PoolThread::PoolThread(Pool& pool, Executor& executor, EventLoop* loop, uint32_t index)
    : pool_(pool),
      executor_(executor),
      clock_(executor.clock()),
      index_(index),
      random_(static_cast<uint64_t>(clock_.now().time_since_epoch().count()) + index),
      loop_(loop) {}

PoolThread::PoolThread(Pool& pool, Executor& executor, uint32_t index)
    : PoolThread(pool, executor, nullptr, index) {}

PoolThread::PoolThread(Pool& pool, EventLoop& loop, uint32_t index)
    : PoolThread(pool, loop, &loop, index) {
  remote_scores_.emplace(loop);
}

PoolThread::~PoolThread() = default;

std::optional<int32_t> PoolThread::priority_of(std::string_view objective) {
  const PriorityOfObjective& given = pool_.options().priority_of;
  if (std::optional<int32_t> priority = given ? given(objective) : std::nullopt) return priority;
  const auto& objectives = in_use().objectives;
  if (objectives == nullptr) return std::nullopt;
  const auto found = objectives->find(objective);
  return found == objectives->end() ? std::nullopt : std::optional<int32_t>(found->second);
}

std::optional<std::string> PoolThread::rewritten_model(std::string_view model) {
  const auto& rewrites = in_use().rewrites;
  if (rewrites == nullptr) return std::nullopt;
  const auto drawn = rewrites->draw(model, random_);
  if (!drawn) return std::nullopt;
  pool_.probe().on_model_rewritten(drawn->origin, model, drawn->model);
  return std::string(drawn->model);
}

std::span<const uint32_t> PoolThread::exact_block_sizes() {
  const ExactCaches* caches = pool_.exact_caches();
  if (caches == nullptr) return {};
  if (const uint64_t version = caches->version(); version != caches_version_) {
    block_sizes_ = caches->block_sizes();
    caches_version_ = version;
  }
  return block_sizes_;
}

TokenSource& PoolThread::token_source() {
  const std::optional<WantedTokens>& wanted = in_use().tokens;
  const Duration deadline =
      wanted ? wanted->timeout.value_or(pool_.options().tokens.deadline) : Duration::zero();
  std::unique_ptr<TokenSource>& source = token_sources_[deadline];
  if (source == nullptr) source = make_token_source(!wanted, deadline);
  return *source;
}

std::unique_ptr<TokenSource> PoolThread::make_token_source(bool of_engines, Duration deadline) {
  const PoolOptions& options = pool_.options();
  if (loop_ != nullptr && !engine_calls_) {
    engine_calls_.emplace(*loop_, options.token_calls);
    tokenizer_jobs_.emplace(*loop_, options.token_threads_most, options.token_texts_most);
  }
  TokenSource::Parts parts;
  parts.tokenizers = options.tokenizers.get();
  parts.cache = &pool_.token_cache();
  parts.calls = engine_calls_ ? &*engine_calls_ : nullptr;
  parts.jobs = tokenizer_jobs_ ? &*tokenizer_jobs_ : nullptr;
  TokenSourceOptions source = options.tokens;
  if (of_engines) {
    return std::make_unique<TokenSource>(executor_, source, parts,
                                         [this](std::string_view) { return next_engine(); });
  }
  source.ask = TokenSourceOptions::Ask::kRender;
  source.deadline = deadline;
  return std::make_unique<TokenSource>(executor_, source, parts,
                                       [this](std::string_view) -> std::optional<EngineAddress> {
                                         const auto& service = in_use().token_service;
                                         if (service == nullptr) return std::nullopt;
                                         return EngineAddress{service->host, service->address};
                                       });
}

std::optional<EngineAddress> PoolThread::next_engine() {
  const std::optional<EndpointId> id = next_in_turn({}, std::nullopt);
  if (!id || pool_.feeds() == nullptr) return std::nullopt;
  const std::shared_ptr<const Snapshot> fleet = pool_.snapshot();
  const Endpoint& endpoint = *fleet->endpoints[index_of(*id)].endpoint;
  const auto address = pool_.feeds()->addresses().find(endpoint.host, endpoint.port);
  if (!address) return std::nullopt;
  return EngineAddress{to_string(HostPort{endpoint.host, endpoint.port}), *address};
}

// While there is a healthy endpoint, tried or not, nobody goes to one that is not.
std::optional<EndpointId> PoolThread::next_in_turn(
    std::span<const EndpointId> tried, const std::optional<std::vector<EndpointId>>& allowed) {
  using Rank = EndpointState::Rank;
  const std::shared_ptr<const Snapshot> fleet = pool_.snapshot();
  const auto count = static_cast<uint32_t>(fleet->endpoints.size());
  const auto rank_of = [&](EndpointId id) {
    const bool may = !allowed || std::binary_search(allowed->begin(), allowed->end(), id);
    return may ? fleet->endpoints[index_of(id)].rank() : Rank::kOut;
  };
  Rank limit = Rank::kOut;
  for (uint32_t i = 0; i < count && limit == Rank::kOut; ++i) {
    if (rank_of(EndpointId(i)) < Rank::kReachable) limit = Rank::kReachable;
  }
  std::optional<EndpointId> best;
  for (uint32_t i = 0; i < count && limit != Rank::kAvailable; ++i) {
    const EndpointId candidate{turn_++ % count};
    const Rank rank = rank_of(candidate);
    if (rank >= limit || std::find(tried.begin(), tried.end(), candidate) != tried.end()) continue;
    best = candidate;
    limit = rank;
  }
  return best;
}

std::unique_ptr<DecisionTrace> PoolThread::take_trace() {
  if (traces_.empty()) return std::make_unique<DecisionTrace>(clock_);
  std::unique_ptr<DecisionTrace> trace = std::move(traces_.back());
  traces_.pop_back();
  trace->begin(0);
  return trace;
}

void PoolThread::give_trace(std::unique_ptr<DecisionTrace> trace) {
  if (traces_.size() < kTracesKept) traces_.push_back(std::move(trace));
}

}  // namespace kvasir
