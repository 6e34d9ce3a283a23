// A request to a worker whose name may have to be looked up first.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "legs/worker_clients.h"
#include "net/http/http_call.h"

namespace kvasir {

// A worker to send a leg to.
struct LegWorker {
  HostPort address;
  uint16_t side_port = 0;  // prefill workers of kSglang and kOffloading, as PrefillCandidate's
  // What x-prefill-pod and x-decode-pod call it; empty: by its address, and a decoder not at all.
  std::string name = {};
  WorkerClients::Client client = nullptr;  // null: found by the address

  std::string shown_name() const { return name.empty() ? to_string(address) : name; }
};

// On the loop of its clients.
class WorkerCall {
 public:
  // Both must outlive it. The observer calls ended() when it hears of the end.
  WorkerCall(WorkerClients& clients, HttpCallObserver& observer)
      : clients_(clients), observer_(observer) {}
  ~WorkerCall() { cancel(); }
  WorkerCall(const WorkerCall&) = delete;
  WorkerCall& operator=(const WorkerCall&) = delete;

  // `body` stays valid until the call is over; so does `worker`. A name without an address is told
  // as a connection that could not be made.
  void start(const LegWorker& worker, std::string head, std::string_view body,
             bool is_head_request = false);
  // The observer hears no more.
  void cancel();
  void ended() { call_ = nullptr; }
  void pause() { call_->pause(); }
  void resume() { call_->resume(); }

 private:
  void send(bool is_head_request);

  WorkerClients& clients_;
  HttpCallObserver& observer_;
  std::string head_;
  std::string_view body_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  WorkerClients::Client client_;
  HttpCall* call_ = nullptr;
};

}  // namespace kvasir
