// The connections to workers: one client for each HOST:PORT that requests named, the least recently
// used go first. A worker's name is looked up when it is new and again after a while; its
// connections keep the address that was found then.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "net/http/http_client.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"

namespace kvasir {

class EventLoop;

class WorkerClients {
 public:
  // A client lives as long as somebody uses it, also when it is no longer kept here.
  using Client = std::shared_ptr<HttpClient>;
  using Found = std::function<void(const Result<Client>&)>;

  struct Limits {
    size_t most = 1024;
    Duration name_lifetime = std::chrono::seconds(30);
    HttpClientLimits client = {};
    // Null: connections are plain. A worker's certificate must be for its host as it is written.
    const TlsClientContext* tls = nullptr;
  };

  // Both must outlive it.
  WorkerClients(EventLoop& loop, Resolver& resolver, Limits limits)
      : loop_(loop), resolver_(resolver), limits_(limits) {}

  // Null: look_up() it.
  Client find(const HostPort& worker);
  // `found` is called in a later turn, unless the LookUp is destroyed before; it may destroy it.
  [[nodiscard]] std::unique_ptr<Resolver::LookUp> look_up(const HostPort& worker, Found found);

  size_t size() const { return kept_.size(); }

 private:
  struct Kept {
    std::string key;
    Client client;
    bool is_name = false;
    TimePoint found{};
  };
  Client keep(const HostPort& worker, const SocketAddress& address, bool is_name);

  EventLoop& loop_;
  Resolver& resolver_;
  const Limits limits_;
  std::list<Kept> kept_;  // the most recently used first
  std::unordered_map<std::string, std::list<Kept>::iterator> by_key_;
};

}  // namespace kvasir
