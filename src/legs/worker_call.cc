#include "legs/worker_call.h"

#include <utility>

namespace kvasir {

void WorkerCall::start(const LegWorker& worker, std::string head, std::string_view body,
                       bool is_head_request) {
  head_ = std::move(head);
  body_ = body;
  client_ = worker.client != nullptr ? worker.client : clients_.find(worker.address);
  if (client_ != nullptr) return send(is_head_request);
  look_up_ = clients_.look_up(
      worker.address, [this, is_head_request](const Result<WorkerClients::Client>& found) {
        look_up_.reset();
        if (!found) {
          return observer_.on_failure({HttpFailure::Kind::kConnect, found.error().message});
        }
        client_ = *found;
        send(is_head_request);
      });
}

void WorkerCall::send(bool is_head_request) {
  call_ = &client_->start(head_, body_, observer_, is_head_request);
}

void WorkerCall::cancel() {
  look_up_.reset();
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
}

}  // namespace kvasir
