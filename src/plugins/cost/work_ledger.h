// The work in flight on each endpoint, in seconds: what a gateway can know from what it sent, the
// first tokens and the ends.
//
// A request is pending (its prefill waits or runs) until its first token, then it decodes until it
// ends. An endpoint prefills its pending requests one after the other, in the order they were sent:
//   wait = the rest of the first one's prefill + the prefills of those behind it.
// The first one's rest is its prediction less the time since it became the first; when it is
// overdue, the time it is overdue: a worker that is late is not free.
//
// The first token of an invisible request is not seen. It starts to decode at the predicted end of
// its prefill, or when a request that was sent to the endpoint after it answers.
//
// Source: routing_policy.md §2.
//
// Times are the policy clock's and never run backwards. Not thread-safe: it lives under the
// scheduler's mutex.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/request.h"
#include "plugins/producer/booking_map.h"
#include "timing/step_model.h"

namespace kvasir {

struct PendingWork {
  RequestId request = 0;
  Duration prefill{};  // predicted
  uint32_t prompt_tokens = 0;
  bool first_token_visible = false;
};

// How long a prefill took that was the first in line all the time that counts.
struct PrefillObservation {
  Duration predicted{};
  Duration actual{};
};

class WorkLedger {
 public:
  // Above this share of its KV cache an endpoint may be refusing to admit. Below 1 because the
  // tokens of the answers are not counted.
  static constexpr double kAdmissionShare = 0.9;

  // `max_num_seqs`: sequences an endpoint runs at most; 0 when unknown.
  WorkLedger(size_t endpoints, uint32_t max_num_seqs);

  // Tokens of the endpoint's KV cache; unlimited until set.
  void set_kv_capacity(EndpointId endpoint, uint64_t tokens);

  Duration wait(EndpointId endpoint, TimePoint now);
  // How long until wait() has fallen to `level` if nothing happens there; nullopt: it will not, because its first
  // request is or will be overdue before.
  std::optional<Duration> until_wait_is(EndpointId endpoint, Duration level, TimePoint now);
  // Requests decoding there, each reading the KV of its prompt (answers are not counted).
  DecodeLoad decoding(EndpointId endpoint, TimePoint now);

  // What is booked in `other`, which is not used afterwards. False: it has another number of
  // endpoints, and nothing was taken.
  bool take_over(WorkLedger& other);

  // Precondition: the request is not booked.
  void book(EndpointId endpoint, const PendingWork& work, TimePoint now);

  // For a booked request. Answers how long its prefill took when that can be told: the first token
  // is visible, the request was the first in line, and when it became so the endpoint could admit
  // it.
  std::optional<PrefillObservation> first_token(RequestId request, TimePoint now);

  // Forgets a booked request.
  void ended(RequestId request, TimePoint now);

 private:
  struct Worker {
    std::vector<PendingWork> pending;  // in the order they were sent
    Duration pending_prefill{};        // sum over pending
    TimePoint first_since{};           // when pending.front() became the first
    bool first_admitted = false;       // there was room for it then, as far as we know
    DecodeLoad decoding;
    std::optional<uint64_t> kv_capacity;
  };
  struct Booking {
    EndpointId endpoint{};
    uint32_t prompt_tokens = 0;
    bool decoding = false;
  };

  // The endpoint's state once every predicted end before `now` has passed.
  Worker& settled(EndpointId endpoint, TimePoint now);
  bool has_room(const Worker& worker, const PendingWork& work) const;
  void first_changed(Worker& worker, TimePoint now) const;
  PendingWork remove_pending(Worker& worker, size_t position, TimePoint now);
  void start_decoding(Worker& worker, size_t position, TimePoint now);
  void release_invisible_before(Worker& worker, RequestId request, TimePoint now);

  const uint32_t max_num_seqs_;
  std::vector<Worker> workers_;
  BookingMap<Booking> bookings_;
};

}  // namespace kvasir
