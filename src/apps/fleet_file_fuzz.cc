// Any text: described or refused, and what is described can be checked again.
#include <cstdint>
#include <string_view>

#include "apps/fleet_file.h"
#include "base/assert.h"
#include "supervise/fleet_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = kvasir::read_fleet_file(text, "fleet.yaml", "/nowhere");
  if (!file) {
    KVASIR_ASSERT(!file.error().message.empty(), "a refusal says why");
    return 0;
  }
  KVASIR_ASSERT(!file->fleet.endpoints.empty(), "the gateway has somebody to send to");
  for (const kvasir::FleetGroup& group : file->fleet.groups) {
    for (const std::string& argument : group.arguments) {
      KVASIR_ASSERT(kvasir::check_references(file->fleet, group, argument).ok(), "it was checked");
    }
  }
  return 0;
}
