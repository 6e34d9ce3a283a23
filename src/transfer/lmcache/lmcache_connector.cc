#include "transfer/lmcache/lmcache_connector.h"

#include <utility>

#include "transfer/kv_fingerprint.h"
#include "transfer/lmcache/redis_store.h"
#include "transfer/packed_block.h"
#include "transfer/store_connector.h"

namespace kvasir {

Result<std::unique_ptr<KvConnector>> make_lmcache_connector(const KvTransferConfig& config,
                                                            const std::string& model,
                                                            KvMemory& memory, Executor& loop,
                                                            KvConnector::Owner& owner) {
  Result<RedisUrl> url = parse_redis_url(config.remote_url);
  if (!url) return Error{"remote_url: " + url.error().message};
  RedisStoreOptions of_store;
  of_store.ttl = config.fs_ttl;
  const KvLayout& layout = memory.layout();
  auto store = std::make_shared<RedisStore>(std::move(url).value(),
                                            kv_fingerprint(model, layout, config.compress),
                                            wire_block_bytes(layout, config.compress), of_store);
  auto connector = std::make_unique<StoreConnector>("lmcache", std::move(store),
                                                    store_options(config), memory, loop, owner);
  connector->check_store();
  return std::unique_ptr<KvConnector>(std::move(connector));
}

}  // namespace kvasir
