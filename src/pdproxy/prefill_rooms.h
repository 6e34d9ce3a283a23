// How many tokens of prompts each prefill worker has under way, for a store that takes what one
// step of the engine computed (vLLM's ExampleConnector): a step is shared by all prompts that are
// there, so that together they may have no more than one step takes. Who finds no room waits, first
// come, first served.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/executor.h"
#include "base/result.h"
#include "legs/legs_relays.h"
#include "pdproxy/pd_workers.h"

namespace kvasir {

// A prompt's tokens, which count at a prefill worker as long as this lives.
class PrefillRoom {
 public:
  class Owner;
  PrefillRoom() = default;
  PrefillRoom(std::shared_ptr<Owner> owner, PdWorkerRef worker, uint64_t tokens)
      : owner_(std::move(owner)), worker_(std::move(worker)), tokens_(tokens) {}
  PrefillRoom(PrefillRoom&& other) noexcept = default;
  PrefillRoom& operator=(PrefillRoom&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(worker_, other.worker_);
    std::swap(tokens_, other.tokens_);
    return *this;
  }
  ~PrefillRoom();
  bool is_taken() const { return owner_ != nullptr; }

 private:
  std::shared_ptr<Owner> owner_;
  PdWorkerRef worker_;
  uint64_t tokens_ = 0;
};

struct RoomWish {
  uint64_t tokens = 0;  // as many as the limit at most
  size_t most = 1;      // candidates
  PdWorkerRef only{};   // null: at whichever worker has room, of those that did not fail lately
};

struct RoomGrant {
  // Empty: there is none, and no room is taken; or the wish was for `only`.
  PdCandidates prefillers = {};
  PrefillRoom room = {};  // at the first of them
};

// Thread-safe.
class PrefillRooms {
 public:
  using Told = std::function<void(Result<RoomGrant>)>;

  // The workers outlive whoever waits.
  PrefillRooms(PdWorkers& workers, const PdProxyOptions& options);

  // Room at once; nullopt: there is none, or others wait for it.
  std::optional<RoomGrant> take(const RoomWish& wish, TimePoint now);
  // Calls `told` on the executor in a later turn, once: with room, or with an error that says why
  // there is none. It may destroy the wait. Whoever destroys it before leaves the queue.
  std::unique_ptr<LegWait> wait(Executor& executor, const RoomWish& wish, Told told);

  size_t waiting() const;

 private:
  class Wait;
  const Duration longest_;
  std::shared_ptr<PrefillRoom::Owner> owner_;
};

}  // namespace kvasir
