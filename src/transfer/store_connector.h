// The connector of a BlockStore: requests on the worker's loop, the store on a thread of its own,
// and between the two a copy of the bytes, so that a store that hangs holds no block of the engine.
//
// A request whose prompt is not wholly stored offers it when it ends, whichever leg it is; its
// answer goes when the store is complete. Whatever a store refuses or does not do in time is
// computed here.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/guarded.h"
#include "base/lifeline.h"
#include "engine/kv_memory.h"
#include "transfer/block_store.h"
#include "transfer/kv_connector.h"
#include "transfer/link_shaper.h"
#include "transfer/store_thread.h"

namespace kvasir {

struct StoreConnectorOptions {
  bool saves = true;                                  // false: kv_consumer
  Duration find_patience = std::chrono::seconds(2);   // then a prompt is computed here
  Duration load_patience = std::chrono::seconds(30);  // the same
  Duration save_patience = std::chrono::seconds(30);  // then an answer goes without
  size_t waiting_max = 1024;   // pieces of work for the thread; beyond it the same
  LinkShape link;              // to the store, in both directions
  bool compress = false;       // the store's blocks are packed (transfer/packed_block.h)
  bool pipelining = false;     // who waits begins when the first blocks are there
  uint32_t first_blocks = 16;  // these
};

StoreConnectorOptions store_options(const KvTransferConfig& config);

class StoreConnector final : public KvConnector {
 public:
  // `name` heads log lines. What is referred to outlives it.
  StoreConnector(std::string name, std::shared_ptr<BlockStore> store,
                 const StoreConnectorOptions& options, KvMemory& memory, Executor& loop,
                 Owner& owner);
  ~StoreConnector() override;

  // Says and counts at once, before the first request, that the store cannot be used.
  void check_store();

  void plan(KvRequestId request, const KvRequest& about) override;
  void fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) override;
  void offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t cached_tokens) override;
  void forget(KvRequestId request) override;
  KvTransferStats stats() const override;
  std::vector<KvTransferRecord> take_records() override;

 private:
  struct Access;
  struct Request;
  enum class Phase : uint8_t { kFinding, kPlanned, kLoading, kSaving };

  Request* find(KvRequestId request, Phase phase);
  void on_loading(KvRequestId request);
  void await(KvRequestId request, Request& about, Phase phase, Duration patience);
  void on_late(KvRequestId request);
  void end_wait(Request& about);
  void on_found(KvRequestId request, FoundBlocks found);
  // Calls `use` when what began at `began` would be through the link.
  void after_link(TimePoint began, size_t blocks, std::function<void()> use);
  void on_loaded(KvRequestId request, KvFetched fetched, Duration waited);
  void on_saved(KvRequestId request, const Result<void>& saved);
  void say(std::string_view what, const std::string& problem) const;

  const std::string name_;
  const std::shared_ptr<BlockStore> store_;
  const std::shared_ptr<std::vector<std::byte>> scratch_;  // the thread's
  const StoreConnectorOptions options_;
  KvMemory& memory_;
  Executor& loop_;
  Owner& owner_;
  LinkShaper link_;
  std::map<KvRequestId, Request> requests_;
  KvTransferStats stats_;
  std::vector<KvTransferRecord> records_;
  Lifeline lifeline_;
  StoreThread thread_;
};

}  // namespace kvasir
