// A library of another version of the plugin interface. Its code must never run.
#include <cstdlib>

#include "scheduling/plugin_library.h"

extern "C" const kvasir::PluginAbi kvasir_plugin_abi;
const kvasir::PluginAbi kvasir_plugin_abi{4711};

extern "C" void kvasir_register_plugins(void*);
void kvasir_register_plugins(void*) {
  std::abort();
}
