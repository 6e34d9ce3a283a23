// Where workers register: a ZeroMQ ROUTER to which each sends who it is every 3 seconds
// (wire/kv_transfer/p2p_registration.h). Nothing is answered. Who reaches this port can have
// prompts sent to itself: it belongs into the workers' network. On the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/io/event_loop.h"
#include "net/zmq/zmq_socket.h"
#include "pdproxy/pd_proxy_probe.h"
#include "pdproxy/pd_workers.h"

namespace kvasir {

class PdRegistrations {
 public:
  // All must outlive it. An error names --registration-port.
  static Result<std::unique_ptr<PdRegistrations>> listen(EventLoop& loop, const std::string& host,
                                                         uint16_t port, PdWorkers& workers,
                                                         PdProxyProbe& probe);
  ~PdRegistrations();
  PdRegistrations(const PdRegistrations&) = delete;
  PdRegistrations& operator=(const PdRegistrations&) = delete;

  uint16_t port() const { return port_; }

 private:
  PdRegistrations(EventLoop& loop, PdWorkers& workers, PdProxyProbe& probe)
      : loop_(loop), workers_(workers), probe_(probe) {}
  void on_message(ZmqFrames frames);
  void expire_later();

  EventLoop& loop_;
  PdWorkers& workers_;
  PdProxyProbe& probe_;
  uint16_t port_ = 0;
  std::unique_ptr<ZmqContext> context_;
  std::unique_ptr<ZmqSocket> socket_;
  TimerId expiry_ = kNoTimer;
};

}  // namespace kvasir
