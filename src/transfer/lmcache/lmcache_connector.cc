#include "transfer/lmcache/lmcache_connector.h"

#include <utility>

#include "transfer/kv_fingerprint.h"
#include "transfer/lmcache/redis_store.h"
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
  auto store = std::make_shared<RedisStore>(
      std::move(url).value(), kv_fingerprint(model, memory.layout()), memory.layout(), of_store);
  StoreConnectorOptions options;
  options.saves = config.role != "kv_consumer";
  return std::unique_ptr<KvConnector>(
      std::make_unique<StoreConnector>("lmcache", std::move(store), options, memory, loop, owner));
}

}  // namespace kvasir
