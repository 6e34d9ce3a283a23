// Asks KV-cache managers how much of a prompt each endpoint holds, before the request is scheduled.
//
// One fetcher for each event loop. A call that is not answered in time, or not with scores, is left
// out: the request goes on without it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/request.h"
#include "net/io/socket.h"
#include "scheduling/remote_source.h"
#include "serving/http_clients.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class EventLoop;
struct Snapshot;

// A source and where it answers, as serving/remote_service_watch.h finds out.
struct RemoteService {
  RemoteSource source;
  std::string host;  // of the Host field
  SocketAddress address;
};
// Whether their URLs can be looked up at all.
Result<void> check_sources(const std::vector<RemoteSource>& sources);

// What came back for one request. Scores of endpoints that were not named are NaN.
class FetchedScores {
 public:
  std::span<const RemoteScores> view() const { return views_; }
  void add(const std::string& plugin, std::vector<double> by_endpoint);

 private:
  std::vector<std::unique_ptr<std::pair<std::string, std::vector<double>>>> owned_;
  std::vector<RemoteScores> views_;
};

class RemoteScoreFetcher {
 public:
  // `loop` must outlive it.
  explicit RemoteScoreFetcher(EventLoop& loop) : loop_(loop), clients_(loop) {}

  // Calls under way: its death gives them up.
  class Fetch {
   public:
    virtual ~Fetch() = default;
  };
  // Asks all of `services` about `peek`'s prompt and the endpoints that are there. `done` is called once, later, unless the Fetch
  // dies before; it may destroy it.
  std::unique_ptr<Fetch> start(const std::vector<RemoteService>& services, const RequestPeek& peek,
                               std::shared_ptr<const Snapshot> fleet,
                               std::function<void(FetchedScores)> done);

 private:
  EventLoop& loop_;
  HttpClients clients_;
};

}  // namespace kvasir
