#include "net/io/resolver.h"

#include <algorithm>
#include <optional>

#include "net/io/event_loop.h"

namespace kvasir {

const SocketAddress& preferred_address(const Resolver::Addresses& addresses) {
  const auto ipv4 = std::find_if(
      addresses.begin(), addresses.end(),
      [](const SocketAddress& address) { return address.storage.ss_family == AF_INET; });
  return ipv4 != addresses.end() ? *ipv4 : addresses.front();
}

Result<SocketAddress> look_up_first(EventLoop& loop, Resolver& resolver, const HostPort& origin) {
  std::optional<Result<Resolver::Addresses>> answer;
  const auto look_up =
      resolver.look_up(loop, origin.host, [&](const Result<Resolver::Addresses>& found) {
        answer = found;
        loop.stop();
      });
  while (!answer) loop.run();
  if (!*answer) return answer->error();
  if ((*answer)->empty()) return Error{"cannot look up " + origin.host + ": it has no address"};
  return with_port(preferred_address(**answer), origin.port);
}

}  // namespace kvasir
