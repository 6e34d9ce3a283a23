#include "transfer/fs/fs_connector.h"

#include <utility>

#include "base/whole_file.h"
#include "transfer/fs/example_folder.h"
#include "transfer/fs/safe_folder.h"
#include "transfer/fs/store_file.h"
#include "transfer/kv_fingerprint.h"
#include "transfer/packed_block.h"
#include "transfer/store_connector.h"

namespace kvasir {

Result<std::unique_ptr<KvConnector>> make_fs_connector(const KvTransferConfig& config,
                                                       const std::string& model, KvMemory& memory,
                                                       Executor& loop, KvConnector::Owner& owner) {
  const std::string& path = config.shared_storage_path;
  const KvLayout& layout = memory.layout();
  Result<void> usable = make_folders(path);
  if (usable) usable = check_replaceable(path + "/kvasir-probe");
  if (!usable) return Error{"shared_storage_path: " + usable.error().message};
  if (!config.fs_safe && (config.fs_bytes_max > 0 || config.fs_ttl > Duration::zero())) {
    return Error{
        "max_bytes and ttl_seconds are for \"layout\": \"kvasir\"; nothing is ever removed from "
        "vLLM's layout"};
  }
  if (!config.fs_safe && config.compress) {
    return Error{
        "compression needs \"layout\": \"kvasir\": vLLM's layout has the engine's own values"};
  }
  const uint64_t fingerprint = kv_fingerprint(model, layout, config.compress);
  std::shared_ptr<BlockStore> store;
  if (config.fs_safe) {
    SafeFolderOptions options;
    options.bytes_max = config.fs_bytes_max;
    options.ttl = config.fs_ttl;
    store = std::make_shared<SafeFolder>(path, fingerprint,
                                         wire_block_bytes(layout, config.compress), options);
  } else {
    store = std::make_shared<ExampleFolder>(path, fingerprint, layout);
  }
  return std::unique_ptr<KvConnector>(std::make_unique<StoreConnector>(
      "fs", std::move(store), store_options(config), memory, loop, owner));
}

}  // namespace kvasir
