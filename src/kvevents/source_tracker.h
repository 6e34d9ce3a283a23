// What takes the batches of the sources, in order, and is told how far what they said can be
// trusted. A source is one publisher of events: an engine process, which is one data-parallel rank
// of one endpoint.
//
// All of it is called on one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "model/endpoint.h"

namespace kvasir {

// Never given out twice: an event of a source that is gone finds nobody.
enum class KvSourceId : uint64_t {};

// What is known of a source's cache.
enum class KvFreshness : uint8_t {
  kNothingYet,  // nothing: no event came, or what came is being read still
  kUnusable,    // nothing: of what it publishes nothing can be used
  // Each block that is known is there, but there may be more: the source had published before
  // somebody listened, or what was known was given up: after a loss or a reset, by a limit of
  // blocks or of their age, or because it could not be understood. Good to use.
  kIncomplete,
  kExact,  // each block that is there is known, and no other
  kStale,  // events were lost and not made up for: blocks that are known may be gone. Not to be
           // used
};

// How far a source's batches were applied: what is known of its cache is as of then.
struct KvStreamPosition {
  uint64_t number = 0;    // of the last one
  uint64_t hash = 0;      // of its bytes
  bool complete = false;  // all of the cache is known

  bool operator==(const KvStreamPosition&) const = default;
};

struct KvBatchApplied {
  // An event of the batch said that the cache is empty (AllBlocksCleared): of it is known what the
  // rest of the batch says, and that is all there is.
  bool cleared = false;
  // Some event of the source could be used since its cache was last empty.
  bool usable = false;
  // None could, and one of this batch could not: why. Valid until the next call.
  std::string_view unusable = {};
};

class KvSourceTracker {
 public:
  virtual ~KvSourceTracker() = default;

  // kNothingYet. nullopt: the endpoint has as many sources as it may.
  virtual std::optional<KvSourceId> add_source(EndpointId endpoint, uint32_t rank,
                                               std::string name) = 0;
  // What it had is gone. Precondition of everything that names a source: it was added, and not
  // removed.
  virtual void remove_source(KvSourceId source) = 0;

  // One batch in msgpack. Whatever the freshness is: it stays. The error is the decoder's: what
  // stood behind the fault is lost.
  virtual Result<KvBatchApplied> apply(KvSourceId source, std::string_view batch,
                                       TimePoint now) = 0;
  virtual void set_freshness(KvSourceId source, KvFreshness freshness) = 0;
  // Forgets what is known of its cache. The freshness stays.
  virtual void clear(KvSourceId source) = 0;

  // Where the source's events go on, when something is known of it from before (a snapshot). Asked
  // once, when it was added.
  virtual std::optional<KvStreamPosition> position(KvSourceId source) {
    static_cast<void>(source);
    return std::nullopt;
  }
  // After each batch, and when that is no longer so: events were lost for good.
  virtual void set_position(KvSourceId source, const std::optional<KvStreamPosition>& position) {
    static_cast<void>(source), static_cast<void>(position);
  }

  // Under which topic its live messages come: with the first one, and when it changes. A replay
  // says none.
  virtual void set_topic(KvSourceId source, std::string_view topic) {
    static_cast<void>(source), static_cast<void>(topic);
  }
  // Whether the connection to its engine is there. Not told of one that connects to us in a way
  // that does not show it.
  virtual void set_connected(KvSourceId source, bool connected) {
    static_cast<void>(source), static_cast<void>(connected);
  }

  // Does what was put off, a bounded piece. False: nothing is left.
  virtual bool tidy(TimePoint now) = 0;
};

}  // namespace kvasir
