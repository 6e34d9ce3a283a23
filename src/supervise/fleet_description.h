// A fleet as a file describes it: groups of equal processes, and a gateway in front of some.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kvasir {

// In the order in which they are started: each kind when all before it answer.
enum class FleetProgram : uint8_t { kWorker, kSidecar, kPdProxy, kGateway };

// Arguments and the variables' values may hold references (supervise/fleet_references.h).
struct FleetGroup {
  std::string name;  // of its process; of several: NAME-0, NAME-1, ...
  FleetProgram program = FleetProgram::kWorker;
  uint32_t count = 1;
  std::vector<std::string> arguments;  // behind those that every process of the program gets
  std::vector<std::pair<std::string, std::string>> variables;  // of the environment
  std::map<std::string, std::string> labels;                   // as endpoints of the gateway
  std::string about;                                           // "prefill worker", for a person
  // Of sidecars: the group of workers beside which they stand, one beside each.
  std::string beside;
};

struct FleetDescription {
  std::string folder;              // of the file
  std::vector<FleetGroup> groups;  // names are unique, also among their processes
  FleetGroup gateway;
  std::vector<std::string> endpoints;  // the groups that the gateway sends to; not empty
};

// "decode", or "decode-0", "decode-1", ...
inline std::vector<std::string> process_names(const FleetGroup& group) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < group.count; ++i) {
    names.push_back(group.count == 1 ? group.name : group.name + "-" + std::to_string(i));
  }
  return names;
}

}  // namespace kvasir
