// A library of another version of the plugin interface. Its code must never run.
#include <cstdint>
#include <cstdlib>

extern "C" const uint32_t kvasir_plugin_abi_version;
const uint32_t kvasir_plugin_abi_version = 4711;

extern "C" void kvasir_register_plugins(void*);
void kvasir_register_plugins(void*) {
  std::abort();
}
