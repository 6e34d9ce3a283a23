// P2pNcclConnector: who prefills a prompt hands its blocks to who decodes it, both named in the
// request's id (wire/kv_transfer/p2p_request_id.h).
//
// By `send_type`: PUT, the answer goes when the blocks are sent; PUT_ASYNC, it goes at once; GET,
// whoever decodes asks for them. Whoever decodes waits a bounded time and computes what does not
// come.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "transfer/kv_connector.h"
#include "transfer/kv_transfer_config.h"
#include "transfer/p2p/p2p_node.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {

class P2pThread;

struct P2pConnectorOptions {
  P2pNodeOptions node;
  KvTransferConfig::SendType send_type = KvTransferConfig::SendType::kPutAsync;
  bool prefills = true, decodes = true;  // both: by whose address is ours
  bool pipelining = false;               // who decodes begins when the first blocks are there
};

class P2pConnector final : public KvConnector {
 public:
  // What is referred to outlives it. The error: an address on which it cannot listen.
  static Result<std::unique_ptr<P2pConnector>> start(const P2pConnectorOptions& options,
                                                     KvMemory& memory, EventLoop& loop,
                                                     Owner& owner);
  ~P2pConnector() override;

  uint16_t port() const { return port_; }  // of its ZeroMQ socket

  void plan(KvRequestId request, const KvRequest& about) override;
  void fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) override;
  void offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t cached_tokens) override;
  void forget(KvRequestId request) override;
  KvTransferStats stats() const override;
  std::vector<KvTransferRecord> take_records() override;

 private:
  struct Request {
    std::string key;
    P2pAddress peer;
    std::vector<BlockHash> hashes;
    bool decodes = false;
    bool fetching = false, offering = false;
    bool offered = false;  // its answer may go
    bool left = false;     // its client did
    size_t blocks = 0;     // fetched or offered
    TimePoint began{};
  };

  P2pConnector(const P2pConnectorOptions& options, KvMemory& memory, EventLoop& loop, Owner& owner);
  P2pNode::Told told();
  std::optional<P2pAddress> asked_at(const Request& about) const;
  void on_offer_over(KvRequestId request, const std::string& problem, bool expired);
  void on_received(KvRequestId request, const P2pArrivals::Outcome& outcome);
  bool is_here(const std::optional<P2pAddress>& named) const;

  const P2pConnectorOptions options_;
  KvMemory& memory_;
  EventLoop& loop_;
  Owner& owner_;
  uint16_t port_ = 0;
  std::map<KvRequestId, Request> requests_;
  KvTransferStats stats_;
  std::vector<KvTransferRecord> records_;
  Lifeline lifeline_;
  std::unique_ptr<P2pThread> thread_;
};

// As make_kv_connector().
Result<std::unique_ptr<KvConnector>> make_p2p_connector(const KvTransferConfig& config,
                                                        const std::string& model, KvMemory& memory,
                                                        EventLoop& loop, KvConnector::Owner& owner);

}  // namespace kvasir
