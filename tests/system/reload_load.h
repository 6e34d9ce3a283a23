// A steady load on a gateway and a picker, and the workers behind them, all on one loop: each
// request is answered some time after it came, so that there are always some in flight.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "net/grpc/grpc_client.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {

// Workers that stream a short answer with its usage, 5 to 60 ms after the request.
class StreamingWorkers final : public HttpHandler {
 public:
  StreamingWorkers(EventLoop& loop, int count);
  ~StreamingWorkers() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int, std::string_view) override { return {}; }

  // Ends every connection; nobody answers any more.
  void close() { servers_.clear(); }
  const std::vector<uint16_t>& ports() const { return ports_; }
  size_t clients_gone() const { return clients_gone_; }

 private:
  struct Answer;

  EventLoop& loop_;
  Random random_{1};
  std::vector<uint16_t> ports_;
  std::unordered_set<Answer*> answers_;
  size_t clients_gone_ = 0;
  std::vector<std::unique_ptr<HttpServer>> servers_;
};

struct LoadCounts {
  size_t sent = 0;
  size_t good = 0;               // a whole answer with status 200; a pick whose stream ended well
  std::vector<std::string> bad;  // what became of the others

  size_t over() const { return good + bad.size(); }
};

class SteadyLoad {
 public:
  // `per_second`: requests to each, the gateway and the picker, from start() to stop().
  SteadyLoad(EventLoop& loop, uint16_t gateway, uint16_t picker, double per_second);
  ~SteadyLoad();

  void start() {
    next_ = loop_.clock().now();
    send();
  }
  void stop();
  const LoadCounts& gateway() const { return gateway_counts_; }
  const LoadCounts& picker() const { return picker_counts_; }

 private:
  class Relayed;
  class Picked;

  void send();

  EventLoop& loop_;
  const Duration interval_;
  Random random_{2};
  TimePoint next_{};  // when the next ones are due: late timers do not add up
  TimerId timer_ = kNoTimer;
  LoadCounts gateway_counts_, picker_counts_;
  std::unordered_set<Relayed*> relayed_;
  std::unordered_set<Picked*> picked_;
  HttpClient gateway_;
  GrpcClient picker_;
};

}  // namespace kvasir
