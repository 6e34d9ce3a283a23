#include "connector_pair.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>

#include "transfer/make_connector.h"

namespace kvasir::bench {

void give_up(const std::string& why) {
  std::fprintf(stderr, "transfer_bench: %s\n", why.c_str());
  std::exit(1);
}

class ConnectorPair::Side final : public KvConnector::Owner {
 public:
  Side(const KvTransferConfig& config, const KvLayout& layout, uint32_t blocks, EventLoop& loop,
       const std::string& memory_name)
      : loop_(loop), memory_(make_memory(blocks, layout, memory_name)) {
    auto made = make_kv_connector(config, "bench", memory_, loop, *this);
    if (!made) give_up(made.error().message);
    connector = std::move(*made);
  }

  KvMemory& memory() { return memory_; }

  std::unique_ptr<KvConnector> connector;
  std::map<KvRequestId, KvPlan> planned;
  std::map<KvRequestId, KvFetched> fetched;
  std::map<KvRequestId, std::string> offered;
  std::map<KvRequestId, bool> released;

 private:
  static KvMemory make_memory(uint32_t blocks, const KvLayout& layout, const std::string& name) {
    Result<KvMemory> made = KvMemory::create(blocks, layout, name);
    if (!made) give_up(made.error().message);
    return std::move(*made);
  }

  void on_planned(KvRequestId request, Result<KvPlan> plan) override {
    if (!plan) give_up(plan.error().message);
    planned[request] = *plan;
    loop_.stop();
  }
  void on_fetching(KvRequestId) override {}
  void on_fetched(KvRequestId request, KvFetched what) override {
    fetched[request] = std::move(what);
    loop_.stop();
  }
  void on_offered(KvRequestId request, std::string params) override {
    offered[request] = std::move(params);
    loop_.stop();
  }
  void on_released(KvRequestId request) override {
    released[request] = true;
    loop_.stop();
  }

  EventLoop& loop_;
  KvMemory memory_;
};

ConnectorPair::ConnectorPair(const KvTransferConfig& prefiller, const KvTransferConfig& decoder,
                             const KvLayout& layout, uint32_t blocks,
                             const std::string& prefiller_memory)
    : loop_(EventLoop::create().value()), blocks_(blocks) {
  prefiller_ = std::make_unique<Side>(prefiller, layout, blocks, *loop_, prefiller_memory);
  decoder_ = std::make_unique<Side>(decoder, layout, blocks, *loop_, "");
}

ConnectorPair::~ConnectorPair() = default;

void ConnectorPair::run_until(const std::function<bool()>& done) {
  constexpr auto kPatience = std::chrono::seconds(120);
  const TimerId patience = loop_->after(kPatience, [] { give_up("a transfer does not end"); });
  while (!done()) loop_->run();
  loop_->cancel(patience);
}

ConnectorPair::Times ConnectorPair::hand_over(const std::string& request_id) {
  const KvRequestId request{++requests_};
  const KvLayout& layout = prefiller_->memory().layout();
  std::vector<uint32_t> tokens(size_t{blocks_} * layout.block_size + 1,
                               static_cast<uint32_t>(requests_));
  std::vector<BlockHash> hashes(blocks_);
  std::vector<uint32_t> blocks(blocks_);
  std::iota(blocks.begin(), blocks.end(), 0u);
  for (uint32_t i = 0; i < blocks_; ++i) {
    hashes[i] = requests_ << 32 | i;
    fill_kv_block(hashes[i], prefiller_->memory().block(i));
  }
  KvRequest about{request_id, R"({"do_remote_decode":true})", tokens, hashes};
  prefiller_->connector->plan(request, about);
  run_until([&] { return prefiller_->planned.count(request) > 0; });
  if (!prefiller_->planned[request].keeps) give_up("the prefiller does not keep its blocks");

  const TimePoint begun = loop_->clock().now();
  prefiller_->connector->offer(request, blocks, 0);
  run_until([&] { return prefiller_->offered.count(request) > 0; });
  const TimePoint offered = loop_->clock().now();
  about.params = prefiller_->offered[request];
  decoder_->connector->plan(request, about);
  run_until([&] { return decoder_->planned.count(request) > 0; });
  if (decoder_->planned[request].remote_blocks != blocks_)
    give_up("the decoder plans fewer blocks");
  const TimePoint asked = loop_->clock().now();
  decoder_->connector->fetch(request, 0, blocks);
  run_until([&] { return decoder_->fetched.count(request) > 0; });
  const TimePoint there = loop_->clock().now();

  if (!decoder_->fetched[request].problem.empty()) give_up(decoder_->fetched[request].problem);
  for (uint32_t i = 0; i < blocks_; ++i) {
    const auto sent = prefiller_->memory().block(i);
    if (!std::ranges::equal(sent, decoder_->memory().block(i))) give_up("a byte is wrong");
  }
  run_until([&] { return prefiller_->released.count(request) > 0; });
  return {to_seconds(offered - begun), to_seconds(there - asked), to_seconds(there - begun)};
}

}  // namespace kvasir::bench
