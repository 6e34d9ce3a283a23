#include "transfer/make_connector.h"

#include "net/io/event_loop.h"
#include "transfer/fs/fs_connector.h"
#include "transfer/nixl/nixl_connector.h"
#include "transfer/p2p/p2p_connector.h"

namespace kvasir {

Result<void> check_kv_connector(const KvTransferConfig& config) {
  switch (config.kind) {
    case KvTransferKind::kNixl:
    case KvTransferKind::kFs:
    case KvTransferKind::kP2p:
      return {};
    case KvTransferKind::kLmcache:
      break;
  }
  return Error{"kv_connector: " + config.connector + " is not there yet"};
}

Result<std::unique_ptr<KvConnector>> make_kv_connector(const KvTransferConfig& config,
                                                       const std::string& model, KvMemory& memory,
                                                       EventLoop& loop, KvConnector::Owner& owner) {
  // Each connector: a case that makes it here, and one that lets it through above.
  switch (config.kind) {
    case KvTransferKind::kNixl:
      return make_nixl_connector(config, model, memory, loop, owner);
    case KvTransferKind::kP2p:
      return make_p2p_connector(config, model, memory, loop, owner);
    case KvTransferKind::kFs:
      return make_fs_connector(config, model, memory, loop, owner);
    case KvTransferKind::kLmcache:
      break;
  }
  return check_kv_connector(config).error();
}

}  // namespace kvasir
