#include "bench/replay.h"

#include <algorithm>

#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

// Rows that are late are sent in batches, so that answers are read and stamped between them.
constexpr int kRowsPerTurn = 16;
constexpr Duration kFreeInterval = std::chrono::milliseconds(20);
constexpr Duration kConnectTimeoutMax = std::chrono::seconds(60);

// LiveRequest's own timeout ends a request; these must not do so before it.
HttpClientLimits client_limits(const ReplayOptions& options) {
  const Duration timeout = bounded_duration(to_seconds(options.timeout) / options.time_scale);
  HttpClientLimits limits;
  limits.connect_timeout = std::min(timeout, kConnectTimeoutMax);
  limits.first_byte_timeout = limits.idle_timeout = timeout + std::chrono::seconds(1);
  limits.idle_connections = 16384;
  return limits;
}

ReplayOptions for_workload(ReplayOptions options, const Workload& workload) {
  options.completion.block_tokens = workload.block_tokens;
  return options;
}

}  // namespace

Result<std::unique_ptr<Replay>> Replay::start(EventLoop& loop, const Workload& workload,
                                              ReplayOptions options, Observer& observer) {
  KVASIR_ASSERT(!options.origins.empty(), "a replay has somewhere to send rows to");
  SystemResolver resolver;
  Targets targets;
  for (const HostPort& origin : options.origins) {
    const Result<SocketAddress> address = look_up_first(loop, resolver, origin);
    if (!address) return address.error();
    targets.emplace_back(new ReplayTarget{origin, {loop, *address, client_limits(options)}});
  }
  return std::unique_ptr<Replay>(
      new Replay(loop, std::move(targets), workload, std::move(options), observer));
}

Replay::Replay(EventLoop& loop, Targets targets, const Workload& workload, ReplayOptions options,
               Observer& observer)
    : loop_(loop),
      workload_(workload),
      options_(for_workload(std::move(options), workload)),
      observer_(observer),
      start_(loop.clock().now()),
      targets_(std::move(targets)),
      requests_(workload.size()) {
  progress_.total = workload.size();
  for (const size_t index : workload.first) due_rows_.emplace(due(index), index);
  send_timer_ = loop_.after(Duration::zero(), [this] { send_due_rows(); });
  free_timer_ = loop_.after(kFreeInterval, [this] { free_sent_bytes(); });
}

Replay::~Replay() {
  loop_.cancel(send_timer_);
  loop_.cancel(free_timer_);
}

TimePoint Replay::due(size_t index) const {
  return start_ + bounded_duration(to_seconds(workload_.due[index]) / options_.time_scale);
}

void Replay::send_due_rows() {
  send_timer_ = kNoTimer;
  if (workload_.size() == 0) return observer_.on_replay_over();
  const TimePoint now = loop_.clock().now();
  for (int sent = 0; sent < kRowsPerTurn && !due_rows_.empty(); ++sent) {
    const DueRow row = due_rows_.top();
    if (row.first > now) break;
    due_rows_.pop();
    send(row);
  }
  wait_for_next_row();
}

void Replay::wait_for_next_row() {
  loop_.cancel(std::exchange(send_timer_, kNoTimer));
  if (due_rows_.empty()) return;
  const Duration wait = std::max(due_rows_.top().first - loop_.clock().now(), Duration::zero());
  send_timer_ = loop_.after(wait, [this] { send_due_rows(); });
}

void Replay::send(const DueRow& row) {
  const auto& [at, index] = row;
  LiveRequest::Owner& owner = *this;
  requests_[index] =
      std::make_unique<LiveRequest>(loop_, *targets_[index % targets_.size()], options_, owner,
                                    workload_.rows[index], workload_.first_row + index, start_, at);
  ++progress_.sent;
  uploading_.push_back(index);
  requests_[index]->send();
}

void Replay::queue_next_turn(size_t index) {
  const size_t next = workload_.next_turn[index];
  if (next == kNoTurn) return;
  const Duration delay = bounded_duration(to_seconds(workload_.delay[next]) / options_.time_scale);
  due_rows_.emplace(std::max(due(next), loop_.clock().now() + delay), next);
  wait_for_next_row();
}

void Replay::free_sent_bytes() {
  const auto is_free = [this](size_t index) {
    return requests_[index] == nullptr || requests_[index]->free_sent_bytes();
  };
  uploading_.erase(std::remove_if(uploading_.begin(), uploading_.end(), is_free), uploading_.end());
  free_timer_ = loop_.after(kFreeInterval, [this] { free_sent_bytes(); });
}

void Replay::on_request_over(LiveRequest& request, Outcome outcome) {
  ++progress_.done;
  if (!outcome.ok()) ++progress_.errors;
  const size_t index = outcome.row - workload_.first_row;
  std::shared_ptr<LiveRequest> over(requests_[index].release());
  KVASIR_ASSERT(over.get() == &request, "a request is in its row's place");
  loop_.defer([over] {});
  queue_next_turn(index);
  const std::shared_ptr<const bool> alive = lifeline_.token();
  observer_.on_outcome(std::move(outcome));
  if (*alive && progress_.done == progress_.total) observer_.on_replay_over();
}

}  // namespace kvasir
