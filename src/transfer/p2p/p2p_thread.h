// A P2pNode and the thread on whose loop it lives.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "base/signals_blocked.h"
#include "net/io/event_loop.h"
#include "transfer/p2p/p2p_node.h"

namespace kvasir {

class P2pThread {
 public:
  static Result<std::unique_ptr<P2pThread>> start(const P2pNodeOptions& options, KvMemory& memory,
                                                  P2pNode::Told told) {
    auto loop = EventLoop::create();
    if (!loop) return loop.error();
    auto node = P2pNode::open(**loop, memory, options, std::move(told));
    if (!node) return node.error();
    return std::unique_ptr<P2pThread>(
        new P2pThread(std::move(loop).value(), std::move(node).value()));
  }
  // Nothing of what is under way is told any more.
  ~P2pThread() {
    loop_->stop();
    thread_.join();
  }
  P2pThread(const P2pThread&) = delete;
  P2pThread& operator=(const P2pThread&) = delete;

  void with_node(std::function<void(P2pNode&)> use) {
    loop_->post([this, use = std::move(use)] { use(*node_); });
  }
  uint16_t port() const { return port_; }

 private:
  P2pThread(std::unique_ptr<EventLoop> loop, std::unique_ptr<P2pNode> node)
      : loop_(std::move(loop)), node_(std::move(node)), port_(node_->port()) {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { loop_->run(); });
  }

  const std::unique_ptr<EventLoop> loop_;
  const std::unique_ptr<P2pNode> node_;
  const uint16_t port_;
  std::thread thread_;
};

}  // namespace kvasir
