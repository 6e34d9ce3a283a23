// What becomes of listening to an engine's KV events.
#pragma once

#include <cstdint>

namespace kvasir {

enum class KvNews : uint8_t {
  kHeard,       // its events are heard from now on
  kLost,        // events were lost: what is known of it is not used until they are made up for
  kRestarted,   // its engine began anew, and holds nothing
  kRecovered,   // all that it published is known again
  kIncomplete,  // all that it still has is, and what it published before is not
  kGivenUp,     // lost events cannot be made up for
  kRefused,     // it cannot be listened to at all
  kUnreached,   // nobody answers at its address; it is tried again
  kNoEvents,    // somebody does, who publishes no KV events
  kUnreadable,  // what it sends is no KV events
  kUnusable     // they are, but none of them can be used
};

}  // namespace kvasir
