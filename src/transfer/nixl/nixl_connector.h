// vLLM's NixlConnector between simulated workers: the prefiller answers with where its blocks are
// (kv_transfer_params, as vLLM 0.32.0), the decoder reads them from there, over TCP or from shared
// memory, and says so; until then a lease keeps them.
#pragma once

#include <memory>
#include <string>

#include "transfer/kv_connector.h"
#include "transfer/kv_transfer_config.h"
#include "transfer/nixl/nixl_limits.h"

namespace kvasir {

class EventLoop;
class KvMemory;

// As make_kv_connector().
Result<std::unique_ptr<KvConnector>> make_nixl_connector(const KvTransferConfig& config,
                                                         const std::string& model, KvMemory& memory,
                                                         EventLoop& loop, KvConnector::Owner& owner,
                                                         const NixlLimits& limits = {});

}  // namespace kvasir
