#include "plugins/cost/work_ledger.h"

#include <algorithm>

#include "base/assert.h"

namespace kvasir {
namespace {

std::optional<size_t> position_of(RequestId request, const std::vector<PendingWork>& pending) {
  for (size_t i = 0; i < pending.size(); ++i) {
    if (pending[i].request == request) return i;
  }
  return std::nullopt;
}

}  // namespace

WorkLedger::WorkLedger(size_t endpoints, uint32_t max_num_seqs)
    : max_num_seqs_(max_num_seqs), workers_(endpoints) {}

void WorkLedger::set_kv_capacity(EndpointId endpoint, uint64_t tokens) {
  workers_[index_of(endpoint)].kv_capacity = tokens;
}

Duration WorkLedger::wait(EndpointId endpoint, TimePoint now) {
  const Worker& worker = settled(endpoint, now);
  if (worker.pending.empty()) return Duration::zero();
  const Duration first = worker.pending.front().prefill;
  const Duration rest = first - (now - worker.first_since);
  const Duration behind = worker.pending_prefill - first;
  return std::chrono::abs(rest) + behind;
}

std::optional<Duration> WorkLedger::until_wait_is(EndpointId endpoint, Duration level,
                                                  TimePoint now) {
  const Duration excess = wait(endpoint, now) - level;
  if (excess <= Duration::zero()) return Duration::zero();
  const Worker& worker = workers_[index_of(endpoint)];
  const Duration rest = worker.pending.front().prefill - (now - worker.first_since);
  if (excess > rest) return std::nullopt;
  return excess;
}

DecodeLoad WorkLedger::decoding(EndpointId endpoint, TimePoint now) {
  return settled(endpoint, now).decoding;
}

bool WorkLedger::take_over(WorkLedger& other) {
  if (other.workers_.size() != workers_.size()) return false;
  workers_ = std::move(other.workers_);
  bookings_ = std::move(other.bookings_);
  return true;
}

void WorkLedger::book(EndpointId endpoint, const PendingWork& work, TimePoint now) {
  bookings_.insert(work.request, Booking{endpoint, work.prompt_tokens, false});
  Worker& worker = settled(endpoint, now);
  worker.pending.push_back(work);
  worker.pending_prefill += work.prefill;
  if (worker.pending.size() == 1) first_changed(worker, now);
}

std::optional<PrefillObservation> WorkLedger::first_token(RequestId request, TimePoint now) {
  const Booking* booking = bookings_.find(request);
  KVASIR_ASSERT(booking != nullptr, "only a booked request answers");
  Worker& worker = settled(booking->endpoint, now);
  const std::optional<size_t> position = position_of(request, worker.pending);
  if (!position) return std::nullopt;  // its predicted end came first

  std::optional<PrefillObservation> observation;
  const PendingWork& work = worker.pending[*position];
  if (*position == 0 && work.first_token_visible && worker.first_admitted) {
    observation = PrefillObservation{work.prefill, now - worker.first_since};
  }
  release_invisible_before(worker, request, now);
  start_decoding(worker, *position_of(request, worker.pending), now);
  return observation;
}

void WorkLedger::ended(RequestId request, TimePoint now) {
  const Booking* booking = bookings_.find(request);
  KVASIR_ASSERT(booking != nullptr, "only a booked request ends");
  Worker& worker = settled(booking->endpoint, now);
  if (booking->decoding) {
    --worker.decoding.rows;
    worker.decoding.kv_tokens -= booking->prompt_tokens;
  } else {
    remove_pending(worker, *position_of(request, worker.pending), now);
  }
  bookings_.erase(request);
}

WorkLedger::Worker& WorkLedger::settled(EndpointId endpoint, TimePoint now) {
  Worker& worker = workers_[index_of(endpoint)];
  while (!worker.pending.empty() && !worker.pending.front().first_token_visible) {
    const TimePoint predicted_end = worker.first_since + worker.pending.front().prefill;
    if (predicted_end > now) break;
    start_decoding(worker, 0, predicted_end);
  }
  return worker;
}

bool WorkLedger::has_room(const Worker& worker, const PendingWork& work) const {
  if (max_num_seqs_ != 0 && worker.decoding.rows >= max_num_seqs_) return false;
  if (!worker.kv_capacity) return true;
  const double tokens = static_cast<double>(worker.decoding.kv_tokens + work.prompt_tokens);
  return tokens <= kAdmissionShare * static_cast<double>(*worker.kv_capacity);
}

void WorkLedger::first_changed(Worker& worker, TimePoint now) const {
  if (worker.pending.empty()) return;
  worker.first_since = now;
  worker.first_admitted = has_room(worker, worker.pending.front());
}

PendingWork WorkLedger::remove_pending(Worker& worker, size_t position, TimePoint now) {
  const PendingWork work = worker.pending[position];
  worker.pending.erase(worker.pending.begin() + static_cast<std::ptrdiff_t>(position));
  worker.pending_prefill -= work.prefill;
  if (position == 0) first_changed(worker, now);
  return work;
}

void WorkLedger::start_decoding(Worker& worker, size_t position, TimePoint now) {
  ++worker.decoding.rows;
  worker.decoding.kv_tokens += worker.pending[position].prompt_tokens;
  const PendingWork work = remove_pending(worker, position, now);
  bookings_.find(work.request)->decoding = true;
}

void WorkLedger::release_invisible_before(Worker& worker, RequestId request, TimePoint now) {
  for (size_t i = 0; worker.pending[i].request != request;) {
    if (worker.pending[i].first_token_visible) {
      ++i;
    } else {
      start_decoding(worker, i, now);
    }
  }
}

}  // namespace kvasir
