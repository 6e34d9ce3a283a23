// What a prefiller has offered and nobody has taken yet: each offer has a lease, which its
// decoder's heartbeats extend; it ends when the decoder says that all was read, or with the lease.
//
// Who knows an offer's request id may read its blocks: no others, no longer. An id is 8 random
// hexadecimal digits behind the request's own, and a read names the hash of the prompt, too.
//
// Lives on its executor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.h"
#include "model/block_hash.h"
#include "transfer/kv_connector.h"
#include "wire/kv_transfer/nixl_data.h"

namespace kvasir {

class NixlOffers {
 public:
  struct Over {
    std::string id;
    KvRequestId request{};
    size_t blocks = 0;
    bool expired = false;
  };

  // vLLM's rule: a heartbeat comes each sixth of a lease, and the offer then stands for two thirds
  // of one at least; never longer than `total_max` in all. `on_over` is told once of each: it is
  // found no more, and its blocks can go once nobody is reading them.
  NixlOffers(Executor& executor, Duration lease, Duration total_max,
             std::function<void(const Over&)> on_over)
      : executor_(executor), lease_(lease), total_max_(total_max), on_over_(std::move(on_over)) {}
  ~NixlOffers();
  NixlOffers(const NixlOffers&) = delete;
  NixlOffers& operator=(const NixlOffers&) = delete;

  // chain[i]: the hash of blocks[i]. Precondition: as many of both, and `id` is new.
  void add(std::string id, KvRequestId request, std::vector<uint32_t> blocks,
           std::vector<BlockHash> chain);

  bool stands(std::string_view id) const { return offers_.find(id) != offers_.end(); }
  // The error: why nothing is read. A read is of blocks that lie together in the offer.
  Result<void> check(const NixlRead& read) const;
  void beat(std::string_view id);
  // False: it is over already, or was never there.
  bool done(std::string_view id);

 private:
  struct Offer {
    KvRequestId request{};
    std::vector<uint32_t> blocks;
    std::vector<BlockHash> chain;
    TimePoint begun{}, ends{};
    TimerId timer = kNoTimer;
  };
  using Offers = std::map<std::string, Offer, std::less<>>;

  void wait(const std::string& id, Offer& offer);
  void on_time(const std::string& id);
  void over(Offers::iterator offer, bool expired);

  Executor& executor_;
  const Duration lease_, total_max_;
  const std::function<void(const Over&)> on_over_;
  Offers offers_;
};

}  // namespace kvasir
