// A library whose type has the name of a built-in one.
#include "scheduling/plugin_library.h"

namespace {

void add_types(kvasir::PluginEntry& entry) {
  kvasir::PluginType type{"queue-scorer", [](auto, auto&, auto&) -> kvasir::MadePlugin {
                            return kvasir::Error{"never made"};
                          }};
  type.places = kvasir::kScorerPlace;
  entry.add(std::move(type));
}

}  // namespace

KVASIR_PLUGIN_LIBRARY(add_types)
