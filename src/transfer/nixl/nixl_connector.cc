#include "transfer/nixl/nixl_connector.h"

#include <cstdio>
#include <random>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/lifeline.h"
#include "transfer/nixl/nixl_thread.h"
#include "wire/kv_transfer/prefill_handoff.h"

namespace kvasir {
namespace {

class NixlConnector final : public KvConnector {
 public:
  NixlConnector(const KvTransferConfig& config, Owner& owner)
      : owner_(owner), host_(config.side_channel_host) {}

  Result<void> start(const KvTransferConfig& config, const std::string& model, KvMemory& memory,
                     EventLoop& loop, const NixlLimits& limits);

  void plan(KvRequestId request, const KvRequest& about) override;
  void fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) override;
  void offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t cached_tokens) override;
  void forget(KvRequestId request) override;

  KvTransferStats stats() const override;
  std::vector<KvTransferRecord> take_records() override;

 private:
  // Blocks that a prefiller holds for a request.
  struct Handoff {
    NixlPrefiller::Address at;
    std::string offer;
    std::vector<uint32_t> blocks;
  };
  struct Planned {
    std::string id;
    uint64_t tokens = 0;
    std::vector<BlockHash> chain;
    std::optional<Handoff> handoff;  // until it was fetched, or is of no use
    bool keeps = false;
    bool is_fetching = false;
  };

  void on_fetched(KvRequestId request, const KvFetched& fetched);
  std::string new_offer_id(const std::string& request);

  Owner& owner_;
  const std::string host_;
  std::unordered_map<KvRequestId, Planned> planned_;
  std::unordered_map<KvRequestId, std::string> offers_;  // their ids
  std::set<std::string> offer_ids_;
  uint64_t unusable_handoffs_ = 0;
  std::random_device random_;
  std::unique_ptr<NixlThread> thread_;
  Lifeline lifeline_;
};

Result<void> NixlConnector::start(const KvTransferConfig& config, const std::string& model,
                                  KvMemory& memory, EventLoop& loop, const NixlLimits& limits) {
  NixlEvents events;
  events.on_fetching =
      lifeline_.posting(loop, [this](KvRequestId request) { owner_.on_fetching(request); });
  events.on_fetched = lifeline_.posting(
      loop,
      [this](KvRequestId request, const KvFetched& fetched) { on_fetched(request, fetched); });
  events.on_offered =
      lifeline_.posting(loop, [this](KvRequestId request, const std::string& params) {
        owner_.on_offered(request, params);
      });
  events.on_released = lifeline_.posting(loop, [this](KvRequestId request) {
    if (auto id = offers_.extract(request)) offer_ids_.erase(id.mapped());
    owner_.on_released(request);
  });
  Result<std::unique_ptr<NixlThread>> thread =
      NixlThread::start(config, model, limits, memory, std::move(events));
  if (!thread) return thread.error();
  thread_ = std::move(*thread);
  return {};
}

void NixlConnector::plan(KvRequestId request, const KvRequest& about) {
  NixlLegParams leg = read_nixl_leg_params(about.params);
  Planned planned;
  planned.keeps = leg.keeps && !about.blocks.empty();
  uint32_t remote_blocks = 0;
  if (leg.fetches && leg.handoff.state == PrefillHandoff::State::kUsable) {
    Handoff handoff{{leg.handoff.host, leg.handoff.port, leg.handoff.engine_id},
                    leg.handoff.request_id,
                    std::move(leg.block_ids)};
    handoff.blocks.resize(std::min(handoff.blocks.size(), about.blocks.size()));
    remote_blocks = static_cast<uint32_t>(handoff.blocks.size());
    if (remote_blocks == 0) {
      thread_->done(std::move(handoff.at), std::move(handoff.offer));
    } else {
      thread_->want(handoff.at, handoff.offer);
      planned.handoff = std::move(handoff);
    }
  } else if (leg.fetches) {
    ++unusable_handoffs_;  // vLLM computes the prompt, too, and warns
  }
  const KvPlan plan{remote_blocks, planned.keeps};
  if (plan.remote_blocks > 0 || plan.keeps) {
    planned.id = about.id;
    planned.tokens = about.prompt.size();
    planned.chain.assign(about.blocks.begin(), about.blocks.end());
    planned_[request] = std::move(planned);
  }
  owner_.on_planned(request, plan);
}

void NixlConnector::fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) {
  const auto found = planned_.find(request);
  if (found == planned_.end() || !found->second.handoff || found->second.is_fetching) {
    return owner_.on_fetched(request, {0, "there is nothing to fetch"});
  }
  Planned& planned = found->second;
  const Handoff& handoff = *planned.handoff;
  const size_t there = handoff.blocks.size();
  if (blocks.empty() || first >= there || blocks.size() > there - first) {
    thread_->done(handoff.at, handoff.offer);
    planned.handoff.reset();
    const bool none = blocks.empty();
    if (!planned.keeps) planned_.erase(found);
    return owner_.on_fetched(request, {0, none ? "" : "the prefiller does not hold so many"});
  }
  planned.is_fetching = true;
  const auto from = handoff.blocks.begin() + first;
  NixlWanted wanted;
  wanted.request = request;
  wanted.offer = handoff.offer;
  wanted.remote.assign(from, from + static_cast<ptrdiff_t>(blocks.size()));
  wanted.chain = planned.chain[first + blocks.size() - 1];
  wanted.local = std::move(blocks);
  thread_->read(handoff.at, std::move(wanted));
}

void NixlConnector::on_fetched(KvRequestId request, const KvFetched& fetched) {
  const auto found = planned_.find(request);
  if (found != planned_.end()) {
    found->second.is_fetching = false;
    found->second.handoff.reset();
    if (!found->second.keeps) planned_.erase(found);
  }
  owner_.on_fetched(request, fetched);
}

// As vLLM names it inside of its engine.
std::string NixlConnector::new_offer_id(const std::string& request) {
  for (;;) {
    char suffix[16];
    std::snprintf(suffix, sizeof suffix, "-0-%08x", static_cast<unsigned>(random_()));
    const auto [id, is_new] = offer_ids_.insert(request + suffix);
    if (is_new) return *id;
  }
}

void NixlConnector::offer(KvRequestId request, std::vector<uint32_t> blocks,
                          uint32_t cached_tokens) {
  auto node = planned_.extract(request);
  const bool none =
      !node || !node.mapped().keeps || blocks.empty() || blocks.size() > node.mapped().chain.size();
  if (none) {
    owner_.on_offered(request, {});
    return owner_.on_released(request);
  }
  Planned& planned = node.mapped();
  NixlThread::Offering offering;
  offering.request = request;
  offering.id = new_offer_id(planned.id);
  offers_[request] = offering.id;
  NixlOfferText text;
  text.engine_id = thread_->engine_id();
  text.request_id = offering.id;
  text.host = host_;
  text.port = thread_->side_port();
  text.tokens = planned.tokens;
  text.cached_tokens = cached_tokens;
  offering.params = write_nixl_offer(text, blocks);
  planned.chain.resize(blocks.size());
  offering.blocks = std::move(blocks);
  offering.chain = std::move(planned.chain);
  thread_->offer(std::move(offering));
}

void NixlConnector::forget(KvRequestId request) {
  const auto found = planned_.find(request);
  if (found == planned_.end()) return;
  Planned& planned = found->second;
  planned.keeps = false;
  if (planned.is_fetching) return thread_->stop(planned.handoff->at, request);
  if (planned.handoff) thread_->done(planned.handoff->at, planned.handoff->offer);
  planned_.erase(found);
}

KvTransferStats NixlConnector::stats() const {
  const NixlCounts& counts = thread_->counts();
  KvTransferStats stats;
  stats.transfers = counts.transfers.load();
  stats.bytes = counts.bytes.load();
  stats.failed_transfers = counts.failed_transfers.load();
  stats.failed_notifications = counts.failed_notifications.load();
  stats.late_notifications = counts.late_notifications.load();
  stats.expired_requests = counts.expired_requests.load();
  stats.offers = counts.offered_blocks.load();
  stats.refused_peers = counts.refused_peers.load();
  stats.unusable_handoffs = unusable_handoffs_;
  return stats;
}

std::vector<KvTransferRecord> NixlConnector::take_records() {
  std::vector<KvTransferRecord> taken;
  thread_->counts().records.with([&](auto& records) {
    taken.assign(records.begin(), records.end());
    records.clear();
  });
  return taken;
}

}  // namespace

Result<std::unique_ptr<KvConnector>> make_nixl_connector(const KvTransferConfig& config,
                                                         const std::string& model, KvMemory& memory,
                                                         EventLoop& loop, KvConnector::Owner& owner,
                                                         const NixlLimits& limits) {
  auto made = std::make_unique<NixlConnector>(config, owner);
  if (const Result<void> started = made->start(config, model, memory, loop, limits); !started) {
    return started.error();
  }
  return std::unique_ptr<KvConnector>(std::move(made));
}

}  // namespace kvasir
