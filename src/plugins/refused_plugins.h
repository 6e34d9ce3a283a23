// Types of upstream that Kvasir knows and does not have: a configuration that names one is refused
// with the reason, instead of with "unknown type".
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

void register_refused_plugins(Registry& registry);

}  // namespace kvasir
