#include "transfer/p2p/p2p_connector.h"

#include <algorithm>
#include <utility>

#include "telemetry/log.h"
#include "transfer/kv_fingerprint.h"
#include "transfer/p2p/p2p_thread.h"

namespace kvasir {
namespace {

constexpr size_t kP2pRecordsMost = 4096;  // that nobody took; further ones are counted only

}  // namespace

Result<std::unique_ptr<P2pConnector>> P2pConnector::start(const P2pConnectorOptions& options,
                                                          KvMemory& memory, EventLoop& loop,
                                                          Owner& owner) {
  std::unique_ptr<P2pConnector> made(new P2pConnector(options, memory, loop, owner));
  auto thread = P2pThread::start(options.node, memory, made->told());
  if (!thread) return thread.error();
  made->thread_ = std::move(thread).value();
  made->port_ = made->thread_->port();
  return made;
}

P2pConnector::P2pConnector(const P2pConnectorOptions& options, KvMemory& memory, EventLoop& loop,
                           Owner& owner)
    : options_(options), memory_(memory), loop_(loop), owner_(owner) {}

P2pConnector::~P2pConnector() = default;

P2pNode::Told P2pConnector::told() {
  P2pNode::Told told;
  told.offer_over =
      lifeline_.posting(loop_, [this](KvRequestId request, const std::string& problem,
                                      bool expired) { on_offer_over(request, problem, expired); });
  told.received =
      lifeline_.posting(loop_, [this](KvRequestId request, const P2pArrivals::Outcome& outcome) {
        on_received(request, outcome);
      });
  told.refused = lifeline_.posting(loop_, [this](const std::string& why) {
    ++stats_.refused_peers;
    log_repeated(LogLevel::kWarning, "p2p: refused", "p2p: refused " + why);
  });
  if (options_.pipelining) {
    told.receiving = lifeline_.posting(loop_, [this](KvRequestId request) {
      const auto found = requests_.find(request);
      if (found != requests_.end() && !found->second.left) owner_.on_fetching(request);
    });
  }
  return told;
}

bool P2pConnector::is_here(const std::optional<P2pAddress>& named) const {
  if (!named) return false;
  const P2pAddress address = address_of(*named, options_.node.addresses);
  return address.host == options_.node.server.host && address.port == port_;
}

void P2pConnector::plan(KvRequestId request, const KvRequest& about) {
  const std::optional<std::string_view> key = p2p_request_key(about.id);
  const auto prefill = p2p_prefill_address(about.id), decode = p2p_decode_address(about.id);
  // A worker that does both knows by its address which leg this is; the same one for both keeps it.
  const bool either = options_.prefills && options_.decodes;
  const bool first = either ? is_here(prefill) && !is_here(decode) : options_.prefills;
  const bool second = either ? is_here(decode) && !is_here(prefill) : options_.decodes;
  if (!key || about.blocks.empty() || !(first ? decode : second ? prefill : std::nullopt)) {
    return owner_.on_planned(request, KvPlan{});
  }
  Request& made = requests_[request];
  made.key = *key;
  made.peer = first ? *decode : *prefill;
  made.hashes.assign(about.blocks.begin(), about.blocks.end());
  made.decodes = second;
  if (first) return owner_.on_planned(request, KvPlan{0, true});
  // One token is left to compute.
  const size_t most = (about.prompt.size() - 1) / memory_.layout().block_size;
  const KvPlan plan{static_cast<uint32_t>(std::min(most, about.blocks.size())), false};
  if (plan.remote_blocks == 0) forget(request);
  owner_.on_planned(request, plan);
}

// nullopt: the blocks come by themselves.
std::optional<P2pAddress> P2pConnector::asked_at(const Request& about) const {
  if (options_.send_type != KvTransferConfig::SendType::kGet) return std::nullopt;
  return about.peer;
}

void P2pConnector::fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) {
  const auto found = requests_.find(request);
  if (found == requests_.end() || !found->second.decodes || found->second.fetching) {
    return owner_.on_fetched(request, {0, "its request is not known"});
  }
  Request& about = found->second;
  if (blocks.empty()) {
    forget(request);
    return owner_.on_fetched(request, {});
  }
  about.fetching = true;
  about.blocks = blocks.size();
  about.began = loop_.clock().now();
  P2pAwaited awaited{request, about.key, first, std::move(blocks), about.hashes};
  thread_->with_node([awaited = std::move(awaited), from = asked_at(about)](P2pNode& node) {
    node.receive(awaited, from);
  });
}

void P2pConnector::on_received(KvRequestId request, const P2pArrivals::Outcome& outcome) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  const KvFetched& fetched = outcome.fetched;
  if (!fetched.problem.empty() && !found->second.left) ++stats_.failed_transfers;
  if (fetched.blocks > 0) {
    ++stats_.transfers;
    stats_.bytes += outcome.bytes;
    if (records_.size() < kP2pRecordsMost) {
      records_.push_back(
          {outcome.bytes, fetched.blocks, {}, loop_.clock().now() - found->second.began});
    }
  }
  requests_.erase(found);
  owner_.on_fetched(request, fetched);
}

void P2pConnector::offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t) {
  using SendType = KvTransferConfig::SendType;
  const auto found = requests_.find(request);
  if (found == requests_.end() || found->second.decodes ||
      blocks.size() != found->second.hashes.size()) {
    requests_.erase(request);
    owner_.on_offered(request, {});
    return owner_.on_released(request);
  }
  Request& about = found->second;
  about.offering = true;
  about.blocks = blocks.size();
  stats_.offers += blocks.size();
  P2pOffer offer{request, about.key, std::move(blocks), about.hashes};
  if (options_.send_type == SendType::kGet) {
    thread_->with_node([offer = std::move(offer)](P2pNode& node) { node.hold(offer); });
  } else {
    thread_->with_node(
        [offer = std::move(offer), to = about.peer](P2pNode& node) { node.put(offer, to); });
  }
  if (options_.send_type == SendType::kPut) return;
  about.offered = true;
  owner_.on_offered(request, {});
}

void P2pConnector::on_offer_over(KvRequestId request, const std::string& problem, bool expired) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  const bool offered = found->second.offered || found->second.left;
  stats_.offers -= found->second.blocks;
  stats_.expired_requests += expired;
  requests_.erase(found);
  if (!problem.empty()) {
    ++stats_.failed_transfers;
    log_repeated(LogLevel::kWarning, "p2p: blocks do not reach who decodes",
                 "p2p: blocks do not reach who decodes: " + problem);
  }
  if (!offered) owner_.on_offered(request, {});
  owner_.on_released(request);
}

void P2pConnector::forget(KvRequestId request) {
  const auto found = requests_.find(request);
  if (found == requests_.end()) return;
  Request& about = found->second;
  about.left = true;
  if (about.offering) return;
  if (about.fetching) {
    thread_->with_node([request](P2pNode& node) { node.give_up(request); });
    return;
  }
  if (about.decodes) {
    thread_->with_node([key = about.key, blocks = about.hashes.size(),
                        from = asked_at(about)](P2pNode& node) { node.drop(key, blocks, from); });
  }
  requests_.erase(found);
}

KvTransferStats P2pConnector::stats() const {
  return stats_;
}

std::vector<KvTransferRecord> P2pConnector::take_records() {
  return std::exchange(records_, {});
}

Result<std::unique_ptr<KvConnector>> make_p2p_connector(const KvTransferConfig& config,
                                                        const std::string& model, KvMemory& memory,
                                                        EventLoop& loop,
                                                        KvConnector::Owner& owner) {
  P2pConnectorOptions options;
  options.send_type = config.send_type;
  options.prefills = config.role != "kv_consumer";
  options.decodes = config.role != "kv_producer";
  options.pipelining = config.pipelining;
  P2pNodeOptions& node = options.node;
  node.fingerprint = kv_fingerprint(model, memory.layout());
  node.compress = config.compress;
  node.hold = config.lease;
  node.addresses = config.addresses;
  node.server.host = config.kv_ip;
  node.server.port = config.kv_port;
  node.arrivals.limits.bytes_max = config.kv_buffer_bytes;
  node.arrivals.link = config.link;
  node.arrivals.scale = memory.layout().scale;
  if (!config.proxy.empty()) {
    Result<HostPort> proxy = parse_http_origin(config.proxy);
    if (!proxy) return Error{"proxy_ip, proxy_port: " + proxy.error().message};
    node.registrar.proxy = std::move(proxy).value();
    if (options.prefills) node.registrar.roles.push_back(P2pRole::kPrefill);
    if (options.decodes) node.registrar.roles.push_back(P2pRole::kDecode);
    node.registrar.http_address = config.kv_ip + ":" + std::to_string(config.http_port);
    node.registrar.zmq_address = config.kv_ip;  // and the port
  }
  auto made = P2pConnector::start(options, memory, loop, owner);
  if (!made) return Error{"kv_ip, kv_port: " + made.error().message};
  return std::unique_ptr<KvConnector>(std::move(made).value());
}

}  // namespace kvasir
