// How KV blocks get from the engine that prefilled a prompt to the one that decodes its answer. One
// interface, a connector for each way: nixl (the decoder reads the prefiller's memory), p2p (the
// prefiller writes to the decoder), fs (a folder both see), lmcache (a Redis both see).
//
// Of a request, in this order: plan() -> on_planned(); when its plan says so fetch() ->
// on_fetched(); when its plan says so and it ended by its limit offer() -> on_offered(),
// on_released(). forget() may come at any time instead of what is next.
//
// Everything here is called on the worker's loop, in both directions; connectors move bytes on
// threads of their own. A callback may come from inside of the call that leads to it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/block_hash.h"

namespace kvasir {

// Names a request for the life of its worker; the worker's choice.
enum class KvRequestId : uint64_t {};

// Views: valid during the call.
struct KvRequest {
  // The answer's id without the engine's additions: "cmpl-" or "chatcmpl-" and the request's
  // X-Request-Id; p2p finds both addresses in it.
  std::string_view id;
  std::string_view params;  // kv_transfer_params of the request, JSON; empty: none, or null
  std::span<const uint32_t> prompt;
  std::span<const BlockHash> blocks;  // of the prompt's full blocks; salted
};

struct KvPlan {
  uint32_t remote_blocks = 0;  // leading prompt blocks that fetch() can bring; 0: none
  bool keeps = false;          // offer() is to follow
};

struct KvFetched {
  uint32_t blocks = 0;  // leading ones of those asked for that are there and whole
  std::string problem;  // why not all; empty: all are
};

// One transfer that is over, for the metrics.
struct KvTransferRecord {
  uint64_t bytes = 0;
  uint64_t descriptors = 0;  // pieces of memory that were named one by one
  Duration post{};           // until all were asked for
  Duration time{};           // until the last byte was there
};

struct KvTransferStats {
  uint64_t transfers = 0, bytes = 0;
  uint64_t failed_transfers = 0;
  uint64_t failed_notifications = 0;
  uint64_t expired_requests = 0;    // offers whose lease ran out
  uint64_t late_notifications = 0;  // of offers that were gone by then
  uint64_t offers = 0;              // blocks pinned now, as offers
  uint64_t refused_peers = 0;       // workers, and times that a store could not be used
  uint64_t unusable_handoffs = 0;  // params that ask for a fetch and lack what one needs
};

class KvConnector {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // An error refuses the request (400, in its words).
    virtual void on_planned(KvRequestId request, Result<KvPlan> plan) = 0;
    // Pipelining: the first layers are there, the others follow; on_fetched() still comes.
    virtual void on_fetching(KvRequestId request) = 0;
    // Nothing is written to its blocks from now on, whatever became of it.
    virtual void on_fetched(KvRequestId request, KvFetched fetched) = 0;
    // Its answer may go. `params`: the answer's kv_transfer_params, JSON; empty: null.
    virtual void on_offered(KvRequestId request, std::string params) = 0;
    // Nobody reads its blocks any more; after on_offered(), once.
    virtual void on_released(KvRequestId request) = 0;
  };

  virtual ~KvConnector() = default;

  virtual void plan(KvRequestId request, const KvRequest& about) = 0;
  // `blocks[i]` of the memory is to hold prompt block first + i; there may be none (all were found
  // here): then whoever holds them for us is told, and on_fetched() comes with 0 and no problem.
  virtual void fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) = 0;
  // `blocks`: all full prompt blocks, in order, pinned until on_released(). `cached_tokens`: of the
  // prompt, found in a cache (vLLM's remote_prefill_cached_tokens).
  virtual void offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t cached_tokens) = 0;
  // Its client left, or it was refused, failed, or ended without blocks to offer. Before fetch():
  // whoever holds blocks for it is told. After fetch(): on_fetched() still comes, as soon as
  // nothing is written any more. After offer(): the offer stands until it is fetched or its lease
  // ends, and on_released() comes. No other callback follows.
  virtual void forget(KvRequestId request) = 0;

  virtual KvTransferStats stats() const = 0;
  // Since the last call.
  virtual std::vector<KvTransferRecord> take_records() = 0;
};

}  // namespace kvasir
