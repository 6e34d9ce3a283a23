// What a NixlConnector does on a thread of its own: the side channel, the data connections of both
// sides, leases and heartbeats. It reads and writes blocks that are the connector's to read and
// write, and tells what became of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/io/system_resolver.h"
#include "transfer/kv_transfer_config.h"
#include "transfer/nixl/nixl_counts.h"
#include "transfer/nixl/nixl_limits.h"
#include "transfer/nixl/nixl_prefiller.h"
#include "transfer/nixl/nixl_server.h"
#include "transfer/nixl/nixl_side_channel.h"

namespace kvasir {

// Called on the thread.
struct NixlEvents {
  std::function<void(KvRequestId)> on_fetching;
  std::function<void(KvRequestId, KvFetched)> on_fetched;
  std::function<void(KvRequestId, std::string params)> on_offered;
  std::function<void(KvRequestId)> on_released;
};

class NixlThread {
 public:
  // `model` and the memory's layout are what peers must have in common. The memory outlives this.
  static Result<std::unique_ptr<NixlThread>> start(const KvTransferConfig& config,
                                                   const std::string& model,
                                                   const NixlLimits& limits, KvMemory& memory,
                                                   NixlEvents events);
  ~NixlThread();
  NixlThread(const NixlThread&) = delete;
  NixlThread& operator=(const NixlThread&) = delete;

  // --- Any thread; what is asked for happens in the order of the calls ---
  const std::string& engine_id() const { return engine_id_; }
  uint16_t side_port() const { return side_channel_->port(); }
  NixlCounts& counts() { return counts_; }

  struct Offering {
    KvRequestId request{};
    std::string id, params;
    std::vector<uint32_t> blocks;
    std::vector<BlockHash> chain;
  };
  void offer(Offering offering);
  void want(NixlPrefiller::Address at, std::string offer);
  void read(NixlPrefiller::Address at, NixlWanted wanted);
  void done(NixlPrefiller::Address at, std::string offer);
  void stop(NixlPrefiller::Address at, KvRequestId request);

 private:
  NixlThread(const KvTransferConfig& config, const std::string& model, const NixlLimits& limits,
             KvMemory& memory, NixlEvents events, std::unique_ptr<EventLoop> loop,
             std::unique_ptr<ZmqContext> zmq);
  Result<void> open(const KvTransferConfig& config, const std::string& model);
  void on_over(const NixlOffers::Over& over);
  // nullptr: there are too many.
  NixlPrefiller* prefiller(const NixlPrefiller::Address& at);
  void drop_idle(Duration since);
  void drop_idle_later();

  const NixlLimits limits_;
  const NixlEvents events_;
  const std::string engine_id_, compatibility_hash_;
  KvMemory& memory_;
  NixlCounts counts_;
  LinkShaper link_;
  // Gone in the opposite order: whoever lives on the loop before the loop.
  const std::unique_ptr<EventLoop> loop_;
  const std::unique_ptr<ZmqContext> zmq_;
  SystemResolver resolver_;
  std::unique_ptr<NixlSideChannel> side_channel_;
  NixlOffers offers_;
  std::unique_ptr<NixlServer> server_;
  NixlDecoder decoder_;
  std::map<NixlPrefiller::Address, std::unique_ptr<NixlPrefiller>> prefillers_;
  TimerId idle_timer_ = kNoTimer;
  std::thread thread_;
};

// What two workers must have in common to read each other's blocks, as 64 hexadecimal digits.
std::string nixl_compatibility_hash(const std::string& model, const KvLayout& layout);

}  // namespace kvasir
