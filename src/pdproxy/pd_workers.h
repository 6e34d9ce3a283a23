// The prefill and decode workers of a proxy: those that were named at the start and those that
// registered, how busy each is, and which failed lately. Without I/O. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/guarded.h"
#include "pdproxy/pd_proxy_options.h"
#include "wire/kv_transfer/p2p_registration.h"

namespace kvasir {

// Whether a request id, which is a header field, can carry it: letters, digits and . - _ : [ ].
bool is_pd_name(std::string_view name);
// The same, of a ZeroMQ socket: HOST:PORT.
bool is_pd_socket(std::string_view name);

// Lives as long as somebody has a leg there, also when it is no longer listed.
struct PdWorker {
  PdWorker(P2pRole worker_role, HostPort worker_address, std::string worker_name)
      : role(worker_role), address(std::move(worker_address)), name(std::move(worker_name)) {}

  const P2pRole role;
  const HostPort address;
  const std::string name;  // as it stands in request ids
  std::atomic<uint32_t> legs{0};
  std::atomic<uint64_t> prompt_tokens{0};        // that PrefillRooms counts here
  std::atomic<TimePoint::rep> avoided_until{0};  // since the clock's epoch

  bool is_avoided(TimePoint now) const {
    return now.time_since_epoch().count() < avoided_until.load(std::memory_order_relaxed);
  }
  void failed(TimePoint now, Duration avoid_for) {
    avoided_until.store((now + avoid_for).time_since_epoch().count(), std::memory_order_relaxed);
  }
  void answered() { avoided_until.store(0, std::memory_order_relaxed); }
};

using PdWorkerRef = std::shared_ptr<PdWorker>;

// A leg that counts at its worker, as long as this lives.
class PdBooking {
 public:
  PdBooking() = default;
  explicit PdBooking(PdWorkerRef worker) : worker_(std::move(worker)) { ++worker_->legs; }
  PdBooking(PdBooking&& other) noexcept = default;
  PdBooking& operator=(PdBooking&& other) noexcept {
    std::swap(worker_, other.worker_);
    return *this;
  }
  ~PdBooking() {
    if (worker_ != nullptr) --worker_->legs;
  }

 private:
  PdWorkerRef worker_;
};

// The workers of one role in the order in which they are to be asked.
struct PdCandidates {
  std::vector<PdWorkerRef> workers;  // empty: there is none
  PdBooking first;                   // of workers[0]; none, if that does not fit
};

class PdWorkers {
 public:
  explicit PdWorkers(const PdProxyOptions& options);

  enum class Heard : uint8_t {
    kNew,
    kAgain,      // it was known, or it is one that was named at the start
    kMalformed,  // an address is none
    kFull,       // there are as many as there may be
  };
  Heard hear(const P2pRegistration& registration, TimePoint now);
  // Of those that registered, the ones that were not heard in time go. They are given back.
  std::vector<PdWorkerRef> expire(TimePoint now);

  // The least busy first, of equally busy ones the one whose turn is longest ago; those that failed
  // lately last. `most`: of them. `fits`: which come before equally healthy ones; empty: all fit.
  PdCandidates candidates(P2pRole role, size_t most, TimePoint now,
                          const std::function<bool(const PdWorker&)>& fits = {});

  struct Listed {
    PdWorkerRef worker;
    bool registered = false;
  };
  std::vector<Listed> list() const;

  // Of a role without candidates, for people: which flag, variable or registration is missing.
  std::string why_none(P2pRole role) const;

 private:
  struct Entry {
    PdWorkerRef worker;
    bool registered = false;
    TimePoint heard{};  // the last registration
    uint64_t turn = 0;  // when it was chosen last
  };
  struct Role {
    std::vector<Entry> entries;
    size_t registered = 0;
  };
  struct State {
    std::array<Role, 2> roles;
    uint64_t turns = 0;
  };

  const PdBackend backend_;
  const uint16_t registration_port_;
  const size_t registered_max_;
  const Duration ttl_;
  Guarded<State> state_;
};

}  // namespace kvasir
