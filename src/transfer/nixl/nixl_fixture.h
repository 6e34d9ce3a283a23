// For tests: workers with a NixlConnector each, on one loop, reduced to what a connector sees of
// them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/kv_memory.h"
#include "transfer/nixl/nixl_connector.h"
#include "transfer/patient_loop_fixture.h"

namespace kvasir {

struct NixlTestPrompt {
  std::vector<uint32_t> tokens;
  std::vector<BlockHash> blocks;

  NixlTestPrompt(size_t block_count, uint64_t name) : tokens(4 * block_count + 1) {
    for (size_t i = 0; i < block_count; ++i) blocks.push_back(name * 1000 + i);
  }
};

class NixlTestWorker final : public KvConnector::Owner {
 public:
  static constexpr uint32_t kBlocks = 256;

  static KvLayout small_layout() {
    KvLayout layout;
    layout.block_size = 4;
    layout.layers = 4;
    layout.bytes_per_token = 256;
    return layout;
  }
  static KvTransferConfig on_free_ports() {
    KvTransferConfig config;
    config.side_channel_port = 0;
    return config;
  }

  explicit NixlTestWorker(PatientLoop& loop, const KvTransferConfig& config = on_free_ports(),
                          const NixlLimits& limits = {}, const std::string& shared_name = {},
                          const KvLayout& layout = small_layout(), const std::string& model = "m")
      : loop_(loop), memory_(KvMemory::create(kBlocks, layout, shared_name).value()) {
    Result<std::unique_ptr<KvConnector>> made =
        make_nixl_connector(config, model, memory_, loop.loop(), *this, limits);
    EXPECT_TRUE(made.ok()) << made.error().message;
    connector_ = std::move(*made);
  }

  KvConnector& connector() { return *connector_; }
  KvMemory& memory() { return memory_; }
  void die() { connector_ = nullptr; }

  KvPlan plan(uint64_t request, const NixlTestPrompt& prompt, std::string_view params,
              std::string_view id = "cmpl-1") {
    connector_->plan(KvRequestId{request}, {id, params, prompt.tokens, prompt.blocks});
    return planned.at(request);
  }
  // Prefills it and offers its blocks, the first of which is `first`, each third one: the answer's
  // kv_transfer_params.
  std::string prefill(uint64_t request, const NixlTestPrompt& prompt, uint32_t first = 1) {
    const KvPlan plan_of = plan(request, prompt, R"({"do_remote_decode":true})");
    EXPECT_TRUE(plan_of.keeps);
    std::vector<uint32_t> blocks;
    for (size_t i = 0; i < prompt.blocks.size(); ++i) {
      blocks.push_back(first + static_cast<uint32_t>(3 * i));
      fill_kv_block(prompt.blocks[i], memory_.block(blocks.back()));
    }
    connector_->offer(KvRequestId{request}, std::move(blocks), 0);
    loop_.run_until([&] { return offered.count(request) > 0; });
    return offered[request];
  }
  void start_fetch(uint64_t request, uint32_t first, uint32_t count, uint32_t block) {
    std::vector<uint32_t> blocks(count);
    std::iota(blocks.begin(), blocks.end(), block);
    connector_->fetch(KvRequestId{request}, first, std::move(blocks));
  }
  KvFetched fetch(uint64_t request, uint32_t first, uint32_t count, uint32_t block = 0) {
    start_fetch(request, first, count, block);
    loop_.run_until([&] { return fetched.count(request) > 0; });
    return fetched[request];
  }
  // Block `block` and those behind it hold the prompt's from `first` on.
  bool holds(const NixlTestPrompt& prompt, uint32_t first, uint32_t count, uint32_t block = 0) {
    std::vector<std::byte> right(memory_.layout().block_bytes());
    for (uint32_t i = 0; i < count; ++i) {
      fill_kv_block(prompt.blocks[first + i], right);
      if (!std::ranges::equal(right, memory_.block(block + i))) return false;
    }
    return true;
  }

  std::map<uint64_t, KvPlan> planned;
  std::map<uint64_t, KvFetched> fetched;
  std::map<uint64_t, std::string> offered;
  std::map<uint64_t, int> fetching, released;

 private:
  static uint64_t number(KvRequestId request) { return static_cast<uint64_t>(request); }

  void on_planned(KvRequestId request, Result<KvPlan> plan) override {
    planned[number(request)] = plan.value();
  }
  void on_fetching(KvRequestId request) override {
    ++fetching[number(request)];
    loop_.look();
  }
  void on_fetched(KvRequestId request, KvFetched what) override {
    EXPECT_EQ(fetched.count(number(request)), 0u) << "told twice";
    fetched[number(request)] = std::move(what);
    loop_.look();
  }
  void on_offered(KvRequestId request, std::string params) override {
    EXPECT_EQ(offered.count(number(request)), 0u) << "told twice";
    offered[number(request)] = std::move(params);
    loop_.look();
  }
  void on_released(KvRequestId request) override {
    EXPECT_EQ(++released[number(request)], 1) << "told twice";
    EXPECT_EQ(offered.count(number(request)), 1u) << "released before it was offered";
    loop_.look();
  }

  PatientLoop& loop_;
  KvMemory memory_;
  std::unique_ptr<KvConnector> connector_;
};

}  // namespace kvasir
