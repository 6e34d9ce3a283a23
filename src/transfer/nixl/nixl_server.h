// The prefiller's end of data connections: gives the bytes of offered blocks, and nothing else, to
// whoever asks as nixl_data.h says.
//
// Reads of a connection are answered in their order; connections take turns. The bytes go from the
// engine's memory to the socket without being copied, so an offer that ends while a piece of it is
// on its way breaks that connection.
//
// Lives on its loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/lifeline.h"
#include "engine/kv_memory.h"
#include "net/io/acceptor.h"
#include "transfer/link_shaper.h"
#include "transfer/nixl/nixl_counts.h"
#include "transfer/nixl/nixl_limits.h"
#include "transfer/nixl/nixl_offers.h"

namespace kvasir {

class NixlServer {
 public:
  struct Identity {
    std::string engine_id, compatibility_hash;
  };

  // What is referred to outlives it.
  NixlServer(EventLoop& loop, Descriptor listener, const NixlLimits& limits, Identity identity,
             const KvMemory& memory, LinkShaper& link, NixlOffers& offers, NixlCounts& counts);
  ~NixlServer();
  NixlServer(const NixlServer&) = delete;
  NixlServer& operator=(const NixlServer&) = delete;

  // The offer is over: nothing reads its blocks when this returns.
  void forget_offer(std::string_view id);

 private:
  class Connection;

  void take(Descriptor socket);
  void drop(Connection& connection);
  void look_for_stalled();

  EventLoop& loop_;
  const NixlLimits limits_;
  const Identity identity_;
  const KvMemory& memory_;
  LinkShaper& link_;
  NixlOffers& offers_;
  NixlCounts& counts_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Acceptor acceptor_;
  TimerId stalled_timer_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
