// The port to which engines connect by themselves: one SUB socket for all of them. The topic of a
// message says whose it is; the ranks of an engine, each of which numbers its own batches, may
// share a topic: their batches say the rank. An engine is there as long as the connection is by
// which its last message came.
//
// Lives on the feed's thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kvevents/event_message.h"
#include "kvevents/feed_source.h"
#include "kvevents/held_messages.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {

// Read on any thread.
struct BoundEventsCounters {
  EventStreamCounters::Count unknown{0};
  EventStreamCounters::Count json{0};
  EventStreamCounters::Count faulty{0};
};

class BoundEvents {
 public:
  // The source of a topic and rank that had none until now; null: nobody's, for now. It lives
  // until forget().
  using Find = std::function<FeedSource*(std::string_view topic, uint32_t rank)>;

  static Result<std::unique_ptr<BoundEvents>> open(FeedTools& tools, const std::string& address,
                                                   BoundEventsCounters& counters, Find find);

  void forget(FeedSource& source);
  void look_at_held(const LookAtHeld& look);
  std::string address() const { return socket_->bound_address(); }

 private:
  BoundEvents(FeedTools& tools, BoundEventsCounters& counters, Find find,
              std::unique_ptr<ZmqSocket> socket);
  void on_message(ZmqFrames frames);
  void on_connection(int event, int descriptor);
  std::optional<uint64_t> connection_of_message() const;
  FeedSource* source_of(const EventMessage& message, uint32_t rank);
  void deliver(const EventMessage& message, uint32_t rank, std::optional<uint64_t> connection,
               ZmqFrames frames);
  void hear(FeedSource& source, std::optional<uint64_t> connection, ZmqFrames frames);
  void release();
  void refuse_unnamed(std::string_view topic);

  struct Publisher {
    uint32_t rank = 0;
    FeedSource* source = nullptr;
  };
  // One that is there.
  struct Connection {
    std::set<FeedSource*> sources = {};  // of which a message came by it
  };

  FeedTools& tools_;
  BoundEventsCounters& counters_;
  const Find find_;
  std::map<std::string, std::vector<Publisher>, std::less<>> by_topic_;
  // Those that are there have numbers, for descriptors are used again.
  std::map<int, uint64_t> descriptors_;
  std::map<uint64_t, Connection> connections_;
  uint64_t last_connection_ = FeedSource::kNoConnection;
  const std::unique_ptr<ZmqSocket> socket_;
  std::unique_ptr<ZmqMonitor> monitor_;
  bool unnamed_told_ = false;
  std::optional<HeldMessages> held_;  // what came so far; nullopt: it is not held any more
};

}  // namespace kvasir
