// The flags of a program in a fleet's file: a map, or a list of words as on a command line.
//
//   flags:                                    --block-size=16
//     block-size: 16                          --enable-prefix-caching
//     enable-prefix-caching: true             --kv-transfer-config={"kv_connector":"NixlConnector"}
//     kv-transfer-config: {kv_connector: NixlConnector}
//     prefill: [http://a:1, http://b:1]       --prefill=http://a:1 --prefill=http://b:1
//
// false says --no-NAME, of a sidecar --NAME=false, as its flags are Go's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/value.h"
#include "supervise/fleet_description.h"

namespace kvasir {

struct FleetFlag {
  std::string word;
  int line = 0;
  std::string problem;  // when not empty there is no word
};

// Flags that `up` writes itself, or that the fleet's file says elsewhere, are problems.
std::vector<FleetFlag> read_fleet_flags(const Value& flags, FleetProgram program);

// Of a text, a number or a boolean.
std::optional<std::string> scalar_text(const Value& value);

}  // namespace kvasir
