// Batches that engines publish to the bound address while it is not decided yet where what is known
// of them begins: another subscriber may know what they published before (docs/KV.md, "Two
// managers"). Bounded.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "kvevents/event_message.h"
#include "kvevents/source_tracker.h"

namespace kvasir {

class HeldMessages {
 public:
  // What a batch takes beside its bytes.
  static constexpr size_t kOverhead = 64;
  struct PublisherName {
    std::string topic;
    uint32_t rank = 0;

    auto operator<=>(const PublisherName&) const = default;
  };
  struct Publisher {
    struct Batch {
      uint64_t number = 0;
      std::string bytes;
    };
    std::deque<Batch> batches;  // as they came,
    std::optional<uint64_t> connection;  // and by which connection the last did

    // The batch of that number is there, and has that hash: what is known up to it is of the same
    // process, and goes on with what follows here.
    bool goes_on_after(const KvStreamPosition& position) const;
    // The first that is left is the one of that number.
    void begin_with(uint64_t number);
  };

  explicit HeldMessages(size_t bytes_max) : bytes_max_(bytes_max) {}

  // False: there is no room, and it was not taken.
  bool push(const EventMessage& message, uint32_t rank,
            std::optional<uint64_t> connection = std::nullopt);
  std::map<PublisherName, Publisher>& publishers() { return publishers_; }

 private:
  const size_t bytes_max_;
  size_t bytes_ = 0;
  std::map<PublisherName, Publisher> publishers_;
};

// Looks at what is held, on the feed's thread, and may take some of it away; null: nothing is held
// any more. True: it is to be applied now, and what comes from now on at once.
using LookAtHeld = std::function<bool(HeldMessages* held)>;

}  // namespace kvasir
