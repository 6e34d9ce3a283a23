// LMCacheConnectorV1: blocks in a Redis that both workers see.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"
#include "transfer/kv_connector.h"
#include "transfer/kv_transfer_config.h"

namespace kvasir {

class KvMemory;

// As make_kv_connector().
Result<std::unique_ptr<KvConnector>> make_lmcache_connector(const KvTransferConfig& config,
                                                            const std::string& model,
                                                            KvMemory& memory, Executor& loop,
                                                            KvConnector::Owner& owner);

}  // namespace kvasir
