// For tests: one of two workers, reduced to what a connector sees of it: memory, a loop, and
// what it is told.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/kv_memory.h"
#include "hashing/token_blocks.h"
#include "transfer/kv_connector.h"
#include "transfer/patient_loop_fixture.h"

namespace kvasir {

inline KvLayout small_kv_layout() {
  KvLayout layout;
  layout.block_size = 4;
  layout.layers = 2;
  layout.bytes_per_token = 16;
  return layout;
}

struct TestPrompt {
  std::vector<uint32_t> tokens;
  std::vector<BlockHash> blocks;

  // 0, 1, 2, ..., those from `own` on plus `difference`.
  explicit TestPrompt(size_t size, size_t own = 0, uint32_t difference = 0, uint64_t salt = 0)
      : tokens(size) {
    std::iota(tokens.begin(), tokens.end(), 1);
    for (size_t i = own; i < size; ++i) tokens[i] += difference;
    blocks = hash_token_blocks(tokens, salt, small_kv_layout().block_size);
  }
};

// A folder for the time of a test.
class TestFolder {
 public:
  TestFolder() {
    std::string name = "/tmp/kvasir-transfer-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ConnectorSide final : public KvConnector::Owner {
 public:
  static constexpr uint32_t kBlocks = 64;

  explicit ConnectorSide(const KvLayout& layout = small_kv_layout())
      : memory_(KvMemory::create(kBlocks, layout).value()) {}

  EventLoop& loop() { return loop_.loop(); }
  KvMemory& memory() { return memory_; }
  KvConnector& connector() { return *connector_; }
  KvConnector::Owner& owner() { return *this; }
  void use(std::unique_ptr<KvConnector> connector) { connector_ = std::move(connector); }
  void drop_connector() { connector_ = nullptr; }

  void run_until(std::function<bool()> done) { loop_.run_until(std::move(done)); }

  KvRequestId start_plan(const TestPrompt& prompt, std::string_view id = "cmpl-1",
                         std::string_view params = {}) {
    const KvRequestId request{next_++};
    connector_->plan(request, {id, params, prompt.tokens, prompt.blocks});
    return request;
  }
  std::pair<KvRequestId, KvPlan> plan(const TestPrompt& prompt, std::string_view id = "cmpl-1") {
    const KvRequestId request = start_plan(prompt, id);
    run_until([&] { return planned.count(request) > 0; });
    return {request, planned[request]};
  }
  KvFetched fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) {
    connector_->fetch(request, first, std::move(blocks));
    run_until([&] { return fetched.count(request) > 0; });
    return fetched[request];
  }
  void start_offer(KvRequestId request, const TestPrompt& prompt) {
    std::vector<uint32_t> blocks;
    for (size_t i = 0; i < prompt.blocks.size(); ++i) {
      blocks.push_back(static_cast<uint32_t>(prompt.blocks.size() - i));  // in no simple order
      fill_kv_block(prompt.blocks[i], memory_.block(blocks.back()));
    }
    connector_->offer(request, std::move(blocks), 0);
  }
  void forget(KvRequestId request) {
    forgotten.insert(request);
    connector_->forget(request);
  }
  void offer(KvRequestId request, const TestPrompt& prompt) {
    start_offer(request, prompt);
    run_until([&] { return released.count(request) > 0; });
    EXPECT_EQ(offered.count(request), 1u);
  }
  // Plans it, and stores it when the plan says so.
  void prefill(const TestPrompt& prompt, std::string_view id = "cmpl-1") {
    const auto [request, plan] = this->plan(prompt, id);
    if (plan.keeps) offer(request, prompt);
  }
  // How many blocks of `prompt` come from elsewhere, with the right bytes.
  uint32_t decode(const TestPrompt& prompt, std::string_view id = "cmpl-1") {
    const auto [request, plan] = this->plan(prompt, id);
    if (plan.remote_blocks == 0) return 0;
    const KvFetched got = fetch(request, 0, blocks_from(0, plan.remote_blocks));
    problem = got.problem;
    expect_right(prompt, 0, 0, got.blocks);
    forget(request);
    return got.blocks;
  }
  void expect_right(const TestPrompt& prompt, uint32_t first, uint32_t block, uint32_t count) {
    std::vector<std::byte> right(memory_.layout().block_bytes());
    for (uint32_t i = 0; i < count; ++i) {
      fill_kv_block(prompt.blocks[first + i], right);
      const std::span<const std::byte> there = memory_.block(block + i);
      EXPECT_TRUE(std::equal(there.begin(), there.end(), right.begin())) << "block " << first + i;
    }
  }
  static std::vector<uint32_t> blocks_from(uint32_t first, uint32_t count) {
    std::vector<uint32_t> blocks(count);
    std::iota(blocks.begin(), blocks.end(), first);
    return blocks;
  }

  std::map<KvRequestId, KvPlan> planned;
  std::map<KvRequestId, std::string> refused;  // by plan()
  std::map<KvRequestId, KvFetched> fetched;
  std::map<KvRequestId, std::string> offered;
  std::map<KvRequestId, int> released;
  std::set<KvRequestId> forgotten;
  int fetching = 0;     // how often on_fetching() came
  std::string problem;  // of the last decode()

 private:
  void on_planned(KvRequestId request, Result<KvPlan> plan) override {
    planned[request] = plan ? *plan : KvPlan{};
    if (!plan) refused[request] = plan.error().message;
    loop_.look();
  }
  void on_fetching(KvRequestId) override { ++fetching; }
  void on_fetched(KvRequestId request, KvFetched what) override {
    EXPECT_EQ(fetched.count(request), 0u) << "told twice";
    fetched[request] = std::move(what);
    loop_.look();
  }
  void on_offered(KvRequestId request, std::string params) override {
    EXPECT_EQ(offered.count(request), 0u) << "told twice";
    offered[request] = std::move(params);
    loop_.look();
  }
  void on_released(KvRequestId request) override {
    EXPECT_EQ(++released[request], 1);
    EXPECT_GE(offered.count(request) + forgotten.count(request), 1u)
        << "offered first, or forgotten";
    loop_.look();
  }

  PatientLoop loop_;
  KvMemory memory_;
  std::unique_ptr<KvConnector> connector_;
  uint64_t next_ = 1;
};

}  // namespace kvasir
