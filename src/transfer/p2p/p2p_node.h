// One worker among those that hand blocks to each other: sends what was prefilled here to whoever
// decodes it (PUT), or keeps it until it is asked for (GET); gets what was prefilled elsewhere; and
// tells a proxy every few seconds that it is there.
//
// Lives on its loop's thread, and may be made and destroyed while that does not run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/io/system_resolver.h"
#include "transfer/p2p/p2p_arrivals.h"
#include "transfer/p2p/p2p_peer.h"
#include "transfer/p2p/p2p_registrar.h"
#include "transfer/p2p/p2p_server.h"

namespace kvasir {

// Where workers are whom request ids name otherwise: by HOST:PORT of the ids.
using P2pAddresses = std::map<std::string, HostPort>;
P2pAddress address_of(const P2pAddress& named, const P2pAddresses& addresses);

struct P2pNodeOptions {
  P2pServerOptions server;
  P2pArrivalOptions arrivals;
  P2pRegistrarOptions registrar;
  uint64_t fingerprint = 0;
  bool compress = false;  // what is sent by PUT and asked for by GET
  size_t tensor_bytes_most = size_t{4} << 20;
  Duration send_patience = std::chrono::seconds(10);   // then a receiver is given up
  Duration hold = std::chrono::seconds(30);            // what nobody gets
  Duration get_again = std::chrono::milliseconds(20);  // what is not there yet
  P2pAddresses addresses = {};
  size_t peers_max = 256;                              // beyond it those that are idle are let go
  P2pUnwantedLimits dropped = {};                      // before it is held
};

struct P2pOffer {
  KvRequestId request{};
  std::string key;
  std::vector<uint32_t> blocks;  // of the memory, as long as the prompt's
  std::vector<BlockHash> hashes;
};

class P2pNode final : private P2pServer::Owner {
 public:
  // Called on the loop's thread.
  struct Told {
    // An offer is over: nobody reads its blocks. `expired`: nobody came for it.
    std::function<void(KvRequestId request, const std::string& problem, bool expired)> offer_over;
    std::function<void(KvRequestId request, const P2pArrivals::Outcome& outcome)> received;
    std::function<void(const std::string& why)> refused;
    // Empty: nobody wants to know. The first blocks are there, others are on their way.
    std::function<void(KvRequestId request)> receiving = {};
  };

  static Result<std::unique_ptr<P2pNode>> open(EventLoop& loop, KvMemory& memory,
                                               const P2pNodeOptions& options, Told told);
  ~P2pNode() override;

  void put(P2pOffer offer, const P2pAddress& to);
  void hold(P2pOffer offer);
  // `from`: it is to be asked for there; else it comes by itself.
  void receive(P2pAwaited awaited, const std::optional<P2pAddress>& from);
  void give_up(KvRequestId request) { arrivals_.give_up(request, "its client left"); }
  // Nobody here wants its `blocks`.
  void drop(const std::string& key, size_t blocks, const std::optional<P2pAddress>& from);

  uint16_t port() const { return server_->port(); }
  uint64_t expired() const { return arrivals_.expired(); }

 private:
  struct Sending {
    P2pOffer offer;
    size_t parts = 0;  // under way
    std::string problem;
    TimerId patience = kNoTimer;
  };
  struct Held {
    P2pOffer offer;
    size_t parts = 0;
    bool over = false, expired = false;
    TimerId patience = kNoTimer;
  };

  P2pNode(EventLoop& loop, KvMemory& memory, const P2pNodeOptions& options, Told told);
  static std::string name_of(const P2pAddress& address);
  P2pPeer& peer(const P2pAddress& address);
  uint32_t tensor_blocks() const;
  P2pLink::Frame frame(const P2pOffer& offer, uint64_t number, uint32_t first, uint32_t count,
                       bool packed);
  void put_part(P2pPeer& to, const P2pOffer& offer, uint32_t first, uint32_t count);
  void part_over(KvRequestId request, const std::string& problem);
  struct Get {
    P2pAddress from;
    KvRequestId request{};
    uint64_t number = 0;  // of its frame
    std::string message;
  };
  void get_part(const P2pAddress& from, const P2pAwaited& awaited, uint32_t first, uint32_t count);
  void ask_drop(const std::string& key, const P2pAddress& from, bool again);
  void ask_for(const Get& get);
  void forget(const Get& get);
  std::map<KvRequestId, Held>::iterator find_held(std::string_view key);
  void end_hold(std::map<KvRequestId, Held>::iterator held, bool expired);
  void release(std::map<KvRequestId, Held>::iterator held);
  void on_received(const P2pAwaited& awaited, const P2pArrivals::Outcome& outcome);

  uint64_t on_get(P2pLink& link, const P2pTensorId& blocks, const P2pCommand& command) override;
  void on_drop(const std::string& key) override;
  void on_refused(const std::string& why) override { told_.refused(why); }

  EventLoop& loop_;
  KvMemory& memory_;
  const P2pNodeOptions options_;
  const Told told_;
  SystemResolver resolver_;
  std::unique_ptr<ZmqContext> context_;
  P2pArrivals arrivals_;
  std::map<KvRequestId, Sending> sendings_;
  std::map<KvRequestId, Held> held_;
  P2pUnwanted dropped_;                     // before it was held
  std::map<KvRequestId, P2pAddress> gets_;  // who is asked for what is awaited
  uint64_t number_ = 0;                     // of the frame that was asked for, or announced, last
  bool closing_ = false;
  std::map<std::string, std::unique_ptr<P2pPeer>> peers_;  // by HOST:PORT
  std::unique_ptr<P2pServer> server_;
  std::unique_ptr<P2pRegistrar> registrar_;  // null: there is no proxy
  Lifeline lifeline_;
};

}  // namespace kvasir
