#include "leased_port.h"

#include <vector>

#include "supervise/port_lease.h"

namespace kvasir {

uint16_t leased_port() {
  static std::vector<PortLease> leases;
  return leases.emplace_back(PortLease::take("127.0.0.1", 0).value()).port();
}

}  // namespace kvasir
