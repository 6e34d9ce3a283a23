// Batches of KV events as messages of ZeroMQ, and its sockets. Private to the publisher.
#pragma once

#include <zmq.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace kvasir {

// A batch, and the account of bytes that it burdens as long as anybody keeps it.
class KeptBatch {
 public:
  KeptBatch(std::string bytes, std::shared_ptr<std::atomic<size_t>> account)
      : bytes_(std::move(bytes)), account_(std::move(account)) {
    account_->fetch_add(bytes_.size(), std::memory_order_relaxed);
  }
  ~KeptBatch() { account_->fetch_sub(bytes_.size(), std::memory_order_relaxed); }
  KeptBatch(const KeptBatch&) = delete;
  KeptBatch& operator=(const KeptBatch&) = delete;

  const std::string& bytes() const { return bytes_; }

 private:
  const std::string bytes_;
  const std::shared_ptr<std::atomic<size_t>> account_;
};
using SharedBatch = std::shared_ptr<const KeptBatch>;

struct NumberedBatch {
  uint64_t sequence = 0;
  SharedBatch batch;
};

struct ClosePublisherSocket {
  void operator()(void* socket) const { zmq_close(socket); }
};
struct EndPublisherContext {
  void operator()(void* context) const { zmq_ctx_term(context); }
};
using PublisherSocket = std::unique_ptr<void, ClosePublisherSocket>;
using PublisherContext = std::unique_ptr<void, EndPublisherContext>;

Result<PublisherSocket> make_publisher_socket(void* context, int type, int hwm,
                                              const std::string& endpoint);
// Where it is bound then, with the port that it got.
Result<std::string> bind_publisher_socket(const PublisherSocket& socket,
                                          const std::string& endpoint);
Error zmq_error(const std::string& what);

// Neither waits. False: the peer takes nothing now, or is gone.
bool send_frame(void* socket, std::string_view bytes, bool more);
// The last frame; the batch lives until the message is gone.
bool send_batch(void* socket, const SharedBatch& batch);

}  // namespace kvasir
