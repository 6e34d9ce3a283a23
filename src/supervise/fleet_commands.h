// The command lines of a fleet's programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "supervise/fleet_description.h"
#include "supervise/fleet_supervisor.h"

namespace kvasir {

std::vector<std::string> worker_command(const FleetOptions& options, uint16_t port);
std::vector<std::string> gateway_command(const FleetOptions& options, uint16_t port,
                                         const std::vector<std::string>& worker_urls);

// What a process of the group gets before its own arguments. `hears_events`: the gateway's
// endpoints are workers, so it can follow their KV events.
std::vector<std::string> program_command(const FleetGroup& group, const FleetOptions& options,
                                         uint16_t port, bool hears_events);

// The program to run: the path behind /proc/self/exe as long as it is the same file (so that `ps`
// shows a name), /proc/self/exe itself when it was replaced since. Fails when it cannot be run.
Result<std::string> find_binary(const std::string& binary);

}  // namespace kvasir
