// A described fleet with its ports: what to start, and how.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "supervise/fleet_description.h"
#include "supervise/fleet_references.h"
#include "supervise/port_lease.h"

namespace kvasir {

struct FleetOptions;

struct PlannedProcess {
  std::string name;
  std::string about;  // for a person
  FleetProgram program = FleetProgram::kWorker;
  std::vector<PortLease> leases;  // the first: where it serves
  std::vector<std::string> arguments;
  std::vector<std::string> variables;  // NAME=VALUE
};

// Says whether every reference of the group's processes names somebody. `text`: one of its
// arguments or of its variables' values.
Result<void> check_references(const FleetDescription& fleet, const FleetGroup& group,
                              const std::string& text);

// In the order of their start. Takes the ports; `gateway`: the gateway's. Precondition: all
// references were checked.
Result<std::vector<PlannedProcess>> plan_fleet(const FleetDescription& fleet,
                                               const FleetOptions& options, PortLease gateway);

// The gateway's --endpoints-file, in the log directory.
std::string endpoints_path(const FleetOptions& options);
// Who is who, a line each: name, URL, what it is; tabs between. In the log directory, too.
std::string processes_path(const FleetOptions& options);
std::string processes_text(const FleetOptions& options,
                           const std::vector<PlannedProcess>& processes);
std::string endpoints_text(const FleetDescription& fleet, const FleetOptions& options,
                           const std::vector<PlannedProcess>& processes);

}  // namespace kvasir
