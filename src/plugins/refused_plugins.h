// Types of upstream that Kvasir knows and does not have: a configuration that names one is refused
// with the reason, instead of with "unknown type". docs/EPP.md lists them.
#pragma once

#include <span>

#include "scheduling/registry.h"

namespace kvasir {

struct RefusedPlugin {
  const char* type;
  const char* reason;  // "needs ..." or "is ..."
};

std::span<const RefusedPlugin> refused_plugins();
void register_refused_plugins(Registry& registry);

}  // namespace kvasir
