// Calls to engines for what they know: one POST each, with a JSON body and a JSON answer.
//
// Lives on one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/io/socket.h"
#include "serving/http_clients.h"

namespace kvasir {

class EventLoop;

// An engine, or a service of its own, that is asked.
struct EngineAddress {
  std::string host;  // of the Host field
  SocketAddress address;
};

struct EngineRequest {
  std::string path;
  std::string authorization;  // a field's value; empty: none
  std::string body;
};

struct EngineAnswer {
  int status = 0;  // 0: there is no answer, or too long a one
  std::string body;
};

class EngineCalls {
 public:
  virtual ~EngineCalls() = default;

  // One under way: its death gives it up.
  class Call {
   public:
    virtual ~Call() = default;
  };
  // `done` is called once, later, unless the call dies before; it may destroy it.
  virtual std::unique_ptr<Call> start(const EngineAddress& engine, EngineRequest request,
                                      std::function<void(EngineAnswer)> done) = 0;
};

struct EngineCallLimits {
  Duration longest = std::chrono::seconds(5);  // HttpClients::kCallLongest at most
  size_t answer_bytes = 16 * 1024 * 1024;
};

class HttpEngineCalls final : public EngineCalls {
 public:
  // `loop` must outlive it.
  HttpEngineCalls(EventLoop& loop, EngineCallLimits limits);
  std::unique_ptr<Call> start(const EngineAddress& engine, EngineRequest request,
                              std::function<void(EngineAnswer)> done) override;

 private:
  EventLoop& loop_;
  const EngineCallLimits limits_;
  HttpClients clients_;
};

}  // namespace kvasir
