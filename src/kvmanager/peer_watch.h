// Asks other KV-cache managers of the same fleet, again and again, what they know, and says of
// which pods it is something else. A URL whose name has several addresses stands for all of them,
// and may stand for this manager, too. On the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kvmanager/answers.h"
#include "kvmanager/cache_manager.h"
#include "kvmanager/peer_comparison.h"
#include "net/http/http_client.h"
#include "net/http/http_query.h"
#include "net/io/background_job.h"
#include "net/io/resolver.h"

namespace kvasir {

struct PeerWatchOptions {
  std::vector<std::string> urls;  // http://HOST:PORT
  Duration interval = std::chrono::seconds(10);
  Duration answer_timeout = std::chrono::seconds(30);
  size_t addresses_max = 16;  // of one name
};

class PeerWatch {
 public:
  // Told when the pods of which a peer knows something else changed, when some pods or all could be
  // compared for the first time, and when it could not be asked or could be again.
  using Changed = std::function<void(const std::string& url, const PeerState& state)>;

  static Result<void> check(const PeerWatchOptions& options);

  // `options` are good (check()). `loop` and `resolver` must outlive it.
  PeerWatch(EventLoop& loop, Resolver& resolver, PeerWatchOptions options,
            std::shared_ptr<CacheManager> manager, Changed changed);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  // Not while this manager learns: what it knows then is not what it will know.
  void set_comparing(bool comparing) { comparing_ = comparing; }
  const PeerStates& states() const { return states_; }
  // Where the managers are that were found by now.
  struct PeerAddress {
    SocketAddress address;
    HostPort origin;
  };
  std::vector<PeerAddress> addresses() const;

 private:
  struct Peer;
  struct Name;

  void begin_round();
  void on_addresses(Name& name, const Result<Resolver::Addresses>& addresses);
  void ask(Peer& peer);
  void on_answer(Peer& peer, const Result<HttpAnswer>& answer);
  void compare_next();
  void compare(Peer& peer, const KvDigests& mine);
  void set_problem(const std::string& url, const std::string& problem);

  EventLoop& loop_;
  Resolver& resolver_;
  const PeerWatchOptions options_;
  const std::shared_ptr<CacheManager> manager_;
  const Changed changed_;
  PeerStates states_;
  std::vector<std::unique_ptr<Name>> names_;
  std::map<std::string, std::unique_ptr<Peer>> peers_;  // by URL with the address
  std::vector<std::string> answered_;                   // whose answers wait to be compared
  bool comparing_ = true;
  TimerId timer_ = kNoTimer;
  BackgroundJob job_;
};

}  // namespace kvasir
