// Copies of requests that RequestMirror filters ask for, on one thread. A copy goes where any other
// request of a route may go, its answer is thrown away, and whatever becomes of it the client's
// request is neither delayed nor failed. Private to gateway/.
//
// What is under way at one time is bounded; a copy beyond that is not made, and counted.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "gateway/probe.h"
#include "net/http/http_exchange.h"
#include "routes/route_rule.h"

namespace kvasir {

class MirrorExchange;

class Mirrors {
 public:
  // Of one thread. As many as a burst of requests may have, and bodies of a third of those that a
  // gateway holds of clients.
  static constexpr size_t kMost = 256;
  static constexpr size_t kBytesMost = 64 * 1024 * 1024;

  explicit Mirrors(GatewayProbe& probe) : probe_(probe) {}
  // After whoever answers them.
  ~Mirrors();
  Mirrors(const Mirrors&) = delete;
  Mirrors& operator=(const Mirrors&) = delete;

  // A body that several copies of one request share; null: there is no room for it.
  std::shared_ptr<const std::string> copy_of(std::string_view body);
  // To be answered by whoever takes it, as a client's. It owns itself. Null: there are too many.
  HttpExchange* start(const HttpHead& head, std::shared_ptr<const std::string> body,
                      std::shared_ptr<const RouteRule> rule, const RouteTarget& target);

  size_t size() const { return open_.size(); }
  size_t bytes() const { return *bytes_; }

  // For the exchanges.
  GatewayProbe& probe() { return probe_; }
  void remove(MirrorExchange& exchange) { open_.erase(&exchange); }

 private:
  GatewayProbe& probe_;
  std::unordered_set<MirrorExchange*> open_;
  std::shared_ptr<size_t> bytes_ = std::make_shared<size_t>(0);  // of all bodies that still live
};

}  // namespace kvasir
