#include "sidecar/prefiller_allowlist.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>
#include <optional>

namespace kvasir {
namespace {

struct Spelling {
  std::string host;
  uint16_t port = 0;

  std::string whole() const { return host + ' ' + std::to_string(port); }
};

// One spelling for each address.
Spelling spelling_of(const SocketAddress& address) {
  if (address.storage.ss_family != AF_INET6) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address.storage);
    return {address_text(address), ntohs(ipv4.sin_port)};
  }
  const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address.storage);
  if (!IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) return {address_text(address), ntohs(ipv6.sin6_port)};
  constexpr size_t kMappedBytes = 12;
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, ipv6.sin6_addr.s6_addr + kMappedBytes, text, sizeof text);
  return {text, ntohs(ipv6.sin6_port)};
}

void drop(std::unordered_map<std::string, size_t>& counts, const std::string& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

std::string host_part(const std::string& spelling) {
  return spelling.substr(0, spelling.find(' '));
}

}  // namespace

bool PrefillerAllowlist::List::put(const Entry& entry) {
  const std::optional<SocketAddress> literal = literal_address(entry.host);
  if (!literal || entry.port == 0) return remove(entry.name);
  const Spelling spelling = spelling_of(with_port(*literal, entry.port));
  const auto found = address_of.find(entry.name);
  if (found != address_of.end() && found->second == spelling.whole()) return false;
  remove(entry.name);
  address_of[entry.name] = spelling.whole();
  ++names_at[spelling.whole()];
  ++names_on[spelling.host];
  return true;
}

bool PrefillerAllowlist::List::remove(const std::string& name) {
  const auto found = address_of.find(name);
  if (found == address_of.end()) return false;
  drop(names_at, found->second);
  drop(names_on, host_part(found->second));
  address_of.erase(found);
  return true;
}

bool PrefillerAllowlist::allows(const SocketAddress& address) const {
  const std::string spelling = spelling_of(address).whole();
  return list_.with([&](const List& list) { return list.names_at.count(spelling) > 0; });
}

bool PrefillerAllowlist::allows_host(const SocketAddress& address) const {
  const std::string host = spelling_of(address).host;
  return list_.with([&](const List& list) { return list.names_on.count(host) > 0; });
}

bool PrefillerAllowlist::replace_all(const std::vector<Entry>& entries) {
  List list;
  for (const Entry& entry : entries) list.put(entry);
  const bool changed = list_.with([&](List& held) {
    const bool differs = held.address_of != list.address_of;
    held = std::move(list);
    return differs;
  });
  settled_ = true;
  return changed;
}

bool PrefillerAllowlist::apply(const std::vector<Entry>& put,
                               const std::vector<std::string>& removed) {
  return list_.with([&](List& list) {
    bool changed = false;
    for (const std::string& name : removed) changed = list.remove(name) || changed;
    for (const Entry& entry : put) changed = list.put(entry) || changed;
    return changed;
  });
}

size_t PrefillerAllowlist::size() const {
  return list_.with([](const List& list) { return list.names_at.size(); });
}

}  // namespace kvasir
