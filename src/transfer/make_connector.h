// The connector of a configuration.
#pragma once

#include <memory>
#include <string>

#include "transfer/kv_connector.h"
#include "transfer/kv_transfer_config.h"

namespace kvasir {

class EventLoop;
class KvMemory;

// What is referred to outlives it. `model`: peers with another model, layout or version are
// refused. The error names the member or the address that cannot be used.
Result<std::unique_ptr<KvConnector>> make_kv_connector(const KvTransferConfig& config,
                                                       const std::string& model, KvMemory& memory,
                                                       EventLoop& loop, KvConnector::Owner& owner);

}  // namespace kvasir
