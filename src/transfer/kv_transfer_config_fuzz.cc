// Of any text: what is read has a connector and sane numbers, what is not has a reason.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "transfer/kv_transfer_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const kvasir::Result<kvasir::KvTransferConfig> config = kvasir::parse_kv_transfer_config(json);
  if (!config) {
    KVASIR_ASSERT(!config.error().message.empty(), "a refusal has a reason");
    return 0;
  }
  KVASIR_ASSERT(!config->connector.empty() && config->side_channel_port != 0 &&
                    config->kv_port != 0 && config->lease > kvasir::Duration::zero() &&
                    config->link.gb_per_s >= 0 && config->link.latency >= kvasir::Duration::zero(),
                "a configuration can be used as it is");
  return 0;
}
