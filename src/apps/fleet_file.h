// fleet.yaml: a whole fleet that `kvasir up -f` starts in one command. docs/UP.md describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "supervise/fleet_description.h"

namespace kvasir {

inline constexpr size_t kFleetFileBytesMost = 256 * 1024;
inline constexpr size_t kFleetProcessesMost = 1000;  // as --workers

struct FleetFile {
  FleetDescription fleet;
  uint16_t port = 8000;        // of the gateway
  double time_scale = 1;       // of workers and gateway
  std::string engine_profile;  // of these; empty: the default
  bool kv_events = true;
};

// `path`: a file, or a folder with fleet.yaml in it. The error has a line for each problem, as
// "PATH:12: workers.decode: unknown key 'rol'; did you mean 'role'?".
Result<FleetFile> load_fleet_file(const std::string& path);

// The same of a text. `name` stands in errors; files that it names are looked for in `folder`.
Result<FleetFile> read_fleet_file(std::string_view text, std::string_view name,
                                  const std::string& folder);

}  // namespace kvasir
