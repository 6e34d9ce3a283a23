#include "transfer/make_connector.h"

#include "net/io/event_loop.h"
#include "transfer/fs/fs_connector.h"
#include "transfer/lmcache/lmcache_connector.h"
#include "transfer/nixl/nixl_connector.h"
#include "transfer/p2p/p2p_connector.h"

namespace kvasir {

Result<std::unique_ptr<KvConnector>> make_kv_connector(const KvTransferConfig& config,
                                                       const std::string& model, KvMemory& memory,
                                                       EventLoop& loop, KvConnector::Owner& owner) {
  switch (config.kind) {
    case KvTransferKind::kNixl:
      return make_nixl_connector(config, model, memory, loop, owner);
    case KvTransferKind::kP2p:
      return make_p2p_connector(config, model, memory, loop, owner);
    case KvTransferKind::kFs:
      return make_fs_connector(config, model, memory, loop, owner);
    case KvTransferKind::kLmcache:
      return make_lmcache_connector(config, model, memory, loop, owner);
  }
  return Error{"kv_connector: there is no such kind"};
}

}  // namespace kvasir
