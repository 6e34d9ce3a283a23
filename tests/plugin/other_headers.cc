// A library whose headers were changed and kept the version. Its code must never run.
#include <cstdlib>

#include "scheduling/plugin_library.h"

extern "C" const kvasir::PluginAbi kvasir_plugin_abi;
const kvasir::PluginAbi kvasir_plugin_abi{kvasir::kPluginAbiVersion, kvasir::kPluginLayout + 8};

extern "C" void kvasir_register_plugins(void*);
void kvasir_register_plugins(void*) {
  std::abort();
}
