// What arrives for this worker's requests: blocks come before a request asks for them, or after, or
// not at all. A request waits a bounded time; then, or as soon as it is known that no more comes,
// it gets what is there and right.
//
// Lives on one executor's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/lifeline.h"
#include "engine/kv_memory.h"
#include "transfer/kv_connector.h"
#include "transfer/link_shaper.h"
#include "transfer/p2p/p2p_inbox.h"
#include "transfer/p2p/p2p_unwanted.h"

namespace kvasir {

struct P2pArrivalOptions {
  P2pInbox::Limits limits;
  P2pUnwantedLimits unwanted;
  Duration receive_patience = std::chrono::seconds(5);  // without any progress
  Duration keep = std::chrono::seconds(60);             // what nobody asks for
  LinkShape link;                                       // to whoever sends
  uint32_t scale = 1;                                   // KvLayout's
};

struct P2pAwaited {
  KvRequestId request{};
  std::string key;                // p2p_request_key()
  uint32_t first = 0;             // prompt block that goes to blocks[0]
  std::vector<uint32_t> blocks;   // of the memory
  std::vector<BlockHash> hashes;  // of the prompt's blocks, all of them
};

class P2pArrivals {
 public:
  struct Outcome {
    KvFetched fetched;
    bool refused = false;  // something came that is another prompt's
    bool late = false;     // it was waited for in vain
    uint64_t bytes = 0;    // of the blocks that came, as they came
  };
  using OnReceived = std::function<void(const P2pAwaited& awaited, const Outcome& outcome)>;
  // The first blocks are there, the others are awaited.
  using OnReceiving = std::function<void(KvRequestId request)>;

  // What is referred to outlives it.
  P2pArrivals(Executor& executor, KvMemory& memory, const P2pArrivalOptions& options,
              OnReceived on_received, OnReceiving on_receiving = {});
  ~P2pArrivals();

  // Blocks are to come, which take that place. nullptr: there is no room, and a request that waits
  // for them is told.
  std::shared_ptr<P2pTensor> announce(const std::string& key, uint32_t first, uint32_t count,
                                      BlockHash last_block, bool packed);
  // Where its bytes are to go.
  std::span<std::byte> open(P2pTensor& tensor) { return inbox_.open(tensor); }
  // They have come to where open() said; `sound`: as they were sent.
  void arrived(const std::string& key, std::shared_ptr<P2pTensor> tensor, bool sound);
  // A part does not come.
  void fail(const std::string& key);
  // Nobody wants its `blocks` any more: those that are there, and those that are yet to come.
  void drop(const std::string& key, size_t blocks);
  // False: what is announced from now on would lie here for nobody.
  bool wants(const std::string& key) { return !unwanted_.has(key, executor_.now()); }

  void wait(P2pAwaited awaited);
  // on_received() comes now, unless it came.
  void give_up(KvRequestId request, const std::string& why);

  const P2pInbox& inbox() const { return inbox_; }
  uint64_t expired() const { return expired_; }  // requests whose blocks nobody asked for

 private:
  struct Wait {
    P2pAwaited awaited;
    TimerId patience = kNoTimer;
    bool receiving = false;
    Outcome outcome = {};  // so far
  };
  void be_patient(Wait& wait, Duration how_long);
  void on_late(KvRequestId request);
  void look(const std::string& key);
  bool look(Wait& wait);
  P2pInbox::Found find(const Wait& wait) const;
  void copy(Wait& wait, const P2pInbox::Found& found);
  void end(KvRequestId request, const Outcome& outcome);
  void sweep();

  Executor& executor_;
  KvMemory& memory_;
  const P2pArrivalOptions options_;
  const OnReceived on_received_;
  const OnReceiving on_receiving_;
  P2pInbox inbox_;
  P2pUnwanted unwanted_;
  LinkShaper link_;
  std::map<KvRequestId, Wait> waits_;
  TimerId sweep_ = kNoTimer;
  uint64_t expired_ = 0;
  Lifeline lifeline_;
};

}  // namespace kvasir
