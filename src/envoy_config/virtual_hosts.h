// The routes of one port, by the host names that Envoy tells apart.
//
// Envoy chooses one virtual host for a request, by its most specific domain, takes the first of its
// routes that matches, and asks no other virtual host after that. The Gateway API goes on to routes
// with less specific names of the same listener. Therefore each domain has the routes of every name
// that covers it, in the order in which a RouteTable tries them.
#pragma once

#include <string>
#include <vector>

#include "routes/route_table.h"

namespace kvasir {

struct VirtualHost {
  std::string hostname;  // as listeners have them; empty: any
  const RouteListener* listener = nullptr;
  std::vector<const RouteEntry*> entries;  // in the order in which they are tried
};

// Of the listeners with that port, TLS or not; each host name once, sorted. Valid as long as
// `table`.
std::vector<VirtualHost> virtual_hosts(const RouteTable& table, uint16_t port, bool tls);

}  // namespace kvasir
