#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <memory>

#include "feeds/discovery.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

class DnsDiscovery final : public Discovery {
 public:
  DnsDiscovery(EventLoop& loop, std::string host, uint16_t port, Duration interval,
               DiscoveryListener& listener, BlockingLookUp resolver)
      : loop_(loop),
        host_(std::move(host)),
        port_(port),
        interval_(interval),
        listener_(listener),
        resolver_(std::move(resolver)),
        job_(loop) {
    look_up();
  }
  ~DnsDiscovery() override { loop_.cancel(timer_); }

 private:
  using Answer = Result<std::vector<std::string>>;

  // It may hang for as long as the system's resolver likes, and nobody waits for it.
  void look_up() {
    const bool started = job_.start([this, host = host_, resolver = resolver_] {
      auto answer = std::make_shared<Answer>(resolver(host));
      return [this, answer] { take(*answer); };
    });
    if (!started) take(Error{"cannot look up " + host_ + ": the system gives no thread for it"});
  }

  void take(const Answer& answer) {
    timer_ = loop_.after(interval_, [this] { look_up(); });
    if (!answer) {
      if (!std::exchange(failing_, true))
        listener_.on_discovery_failed(host_, answer.error().message);
      return;
    }
    failing_ = false;
    std::vector<std::string> addresses = *answer;
    std::sort(addresses.begin(), addresses.end());
    addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
    std::vector<Endpoint> endpoints;
    for (const std::string& address : addresses) {
      endpoints.push_back({to_string(HostPort{address, port_}), address, port_});
    }
    listener_.on_endpoints(std::move(endpoints));
  }

  EventLoop& loop_;
  const std::string host_;
  const uint16_t port_;
  const Duration interval_;
  DiscoveryListener& listener_;
  const BlockingLookUp resolver_;
  BackgroundJob job_;
  TimerId timer_ = kNoTimer;
  bool failing_ = false;
};

}  // namespace

Result<std::vector<std::string>> resolve_all_addresses(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  // The name is known to have no addresses, or known not to be: nobody is there.
  if (failure == EAI_NONAME || failure == EAI_NODATA) return std::vector<std::string>{};
  if (failure != 0) return Error{"cannot look up " + host + ": " + gai_strerror(failure)};
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[INET6_ADDRSTRLEN] = {};
    const void* raw =
        one->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr;
    if (inet_ntop(one->ai_family, raw, text, sizeof text) != nullptr) addresses.emplace_back(text);
  }
  freeaddrinfo(found);
  return addresses;
}

std::unique_ptr<Discovery> watch_dns(EventLoop& loop, const std::string& host, uint16_t port,
                                     Duration interval, DiscoveryListener& listener,
                                     BlockingLookUp resolver) {
  return std::make_unique<DnsDiscovery>(loop, host, port, interval, listener, std::move(resolver));
}

}  // namespace kvasir
