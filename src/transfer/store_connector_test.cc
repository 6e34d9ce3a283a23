#include "transfer/store_connector.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>

#include "transfer/connector_side_fixture.h"

namespace kvasir {
namespace {

// Keeps one prompt, and stands still where a test says so.
class ScriptedStore final : public BlockStore {
 public:
  FoundBlocks find(const StoredPrompt&) override {
    pass();
    return found;
  }
  LoadedBlocks load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                    std::span<std::byte> into) override {
    pass();
    for (uint32_t i = 0; i < count; ++i) {
      fill_kv_block(prompt.blocks[first + i], into.subspan(i * size, size));
    }
    return {count, {}};
  }
  Result<void> save(const StoredPrompt&, std::span<const std::byte> bytes) override {
    pass();
    saved_bytes = bytes.size();
    return failure.empty() ? Result<void>() : Result<void>(Error{failure});
  }

  void stop() { set(true); }
  void go() { set(false); }

  FoundBlocks found;
  std::string failure;
  size_t saved_bytes = 0;

 private:
  void set(bool stopped) {
    const std::lock_guard lock(mutex_);
    stopped_ = stopped;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !stopped_; });
  }

  const size_t size = small_kv_layout().block_bytes();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

class StoreConnectorTest : public testing::Test {
 protected:
  void make(const StoreConnectorOptions& options = {}) {
    side_.use(std::make_unique<StoreConnector>("test", store_, options, side_.memory(),
                                               side_.loop(), side_.owner()));
  }
  ~StoreConnectorTest() override { store_->go(); }

  std::shared_ptr<ScriptedStore> store_ = std::make_shared<ScriptedStore>();
  ConnectorSide side_;
};

TEST_F(StoreConnectorTest, OneTokenIsLeftToCompute) {
  make();
  for (const auto& [tokens, blocks] : {std::pair(3, 0), {4, 0}, {5, 1}, {8, 1}, {9, 2}}) {
    store_->found = {static_cast<uint32_t>(tokens / 4), false, {}};
    EXPECT_EQ(side_.plan(TestPrompt(tokens)).second.remote_blocks, blocks) << tokens;
  }
}

TEST_F(StoreConnectorTest, AConsumerOffersNothing) {
  StoreConnectorOptions options;
  options.saves = false;
  make(options);
  EXPECT_FALSE(side_.plan(TestPrompt(20)).second.keeps);
}

TEST_F(StoreConnectorTest, TheAnswerGoesWhenAllIsStored) {
  make();
  const TestPrompt prompt(20);
  const KvRequestId request = side_.plan(prompt).first;
  store_->stop();
  side_.start_offer(request, prompt);
  EXPECT_TRUE(side_.offered.empty());
  store_->go();
  side_.run_until([&] { return side_.released.count(request) > 0; });
  EXPECT_EQ(side_.offered.at(request), "");
}

TEST_F(StoreConnectorTest, APromptIsStoredEvenIfItsClientLeft) {
  make();
  const TestPrompt prompt(20);
  const auto [request, plan] = side_.plan(prompt);
  EXPECT_TRUE(plan.keeps);
  store_->stop();
  side_.start_offer(request, prompt);
  EXPECT_EQ(side_.connector().stats().offers, 5u);
  side_.forget(request);
  EXPECT_TRUE(side_.offered.empty());
  store_->go();
  side_.run_until([&] { return side_.released.count(request) > 0; });
  EXPECT_TRUE(side_.offered.empty()) << "nobody waits for the answer";
  EXPECT_EQ(store_->saved_bytes, 5 * small_kv_layout().block_bytes());
  EXPECT_EQ(side_.connector().stats().offers, 0u);
}

TEST_F(StoreConnectorTest, WhatCannotBeStoredIsCountedAndItsAnswerGoes) {
  make();
  store_->failure = "the disk is full";
  side_.prefill(TestPrompt(20));
  EXPECT_EQ(side_.connector().stats().failed_transfers, 1u);
}

TEST_F(StoreConnectorTest, AStoreThatHangsHoldsUpNoRequestAndNoBlock) {
  StoreConnectorOptions options;
  options.find_patience = options.load_patience = options.save_patience =
      std::chrono::milliseconds(1);
  const TestPrompt prompt(20);

  make(options);
  store_->stop();
  const auto [first, plan] = side_.plan(prompt);
  EXPECT_EQ(plan.remote_blocks, 0u);
  EXPECT_FALSE(plan.keeps);
  EXPECT_EQ(side_.connector().stats().refused_peers, 1u);

  store_->go();
  options.find_patience = std::chrono::minutes(1);
  store_ = std::make_shared<ScriptedStore>();  // the other one's thread may still be at it
  store_->found = {4, false, {}};
  make(options);
  const KvRequestId request = side_.plan(prompt).first;
  store_->stop();
  EXPECT_EQ(side_.fetch(request, 0, {1, 2, 3, 4}).blocks, 0u);
  side_.offer(request, prompt);
  EXPECT_EQ(side_.connector().stats().failed_transfers, 2u);
}

// What comes too late is not written: the blocks may be another request's by then.
TEST_F(StoreConnectorTest, NothingIsWrittenAfterItsClientLeft) {
  make();
  store_->found = {4, false, {}};
  const TestPrompt prompt(20);
  const KvRequestId left = side_.plan(prompt).first;
  store_->stop();
  side_.connector().fetch(left, 0, {1, 2, 3, 4});
  side_.forget(left);
  EXPECT_EQ(side_.fetched.at(left).blocks, 0u);
  store_->go();
  const KvRequestId next = side_.plan(prompt).first;  // behind it on the same thread
  EXPECT_EQ(side_.fetch(next, 1, {6, 7}).blocks, 2u);
  side_.expect_right(prompt, 1, 6, 2);
  for (const std::byte byte : side_.memory().block(1)) ASSERT_EQ(byte, std::byte{0});
}

TEST_F(StoreConnectorTest, NobodyIsToldOfARequestThatIsForgotten) {
  make();
  const TestPrompt prompt(20);
  store_->stop();
  const KvRequestId planning = side_.start_plan(prompt);
  side_.forget(planning);
  store_->go();
  const KvRequestId planned = side_.plan(prompt).first;
  side_.forget(planned);
  EXPECT_EQ(side_.planned.count(planning), 0u);
  EXPECT_EQ(side_.fetch(planned, 0, {1}).problem, "its request is not known");
}

TEST_F(StoreConnectorTest, BlocksThatAreAllHereNeedNoTransfer) {
  make();
  store_->found = {4, true, {}};
  const KvRequestId request = side_.plan(TestPrompt(20)).first;
  const KvFetched fetched = side_.fetch(request, 4, {});
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_EQ(fetched.problem, "");
}

TEST_F(StoreConnectorTest, TooMuchWorkIsNotQueued) {
  StoreConnectorOptions options;
  options.waiting_max = 0;
  make(options);
  const auto [request, plan] = side_.plan(TestPrompt(20));
  EXPECT_EQ(plan.remote_blocks, 0u);
  EXPECT_FALSE(plan.keeps);
}

TEST_F(StoreConnectorTest, AConnectorMayGoWhileItsStoreWorks) {
  make();
  store_->stop();
  side_.start_plan(TestPrompt(20));
  side_.drop_connector();
  store_->go();
  EXPECT_TRUE(side_.planned.empty());
}

TEST_F(StoreConnectorTest, TheLinkToTheStoreHasItsSpeed) {
  StoreConnectorOptions options;
  options.link.gb_per_s = 1e-2;  // with a scale of 1024, 26 ms for four blocks
  options.link.latency = std::chrono::milliseconds(3);
  make(options);
  store_->found = {4, false, {}};
  const TestPrompt prompt(20);
  const auto [request, plan] = side_.plan(prompt);
  const TimePoint begun = side_.loop().clock().now();
  side_.fetch(request, 0, {1, 2, 3, 4});
  const TimePoint loaded = side_.loop().clock().now();
  EXPECT_GE(loaded - begun, std::chrono::milliseconds(29));
  side_.offer(request, prompt);
  EXPECT_GE(side_.loop().clock().now() - loaded, std::chrono::milliseconds(35));
}

TEST_F(StoreConnectorTest, WhoWaitsBeginsWhenTheFirstBlocksAreThere) {
  StoreConnectorOptions options;
  options.pipelining = true;
  options.first_blocks = 3;
  make(options);
  store_->found = {4, false, {}};
  EXPECT_EQ(side_.decode(TestPrompt(20)), 4u);
  EXPECT_EQ(side_.fetching, 1);
  store_->found = {3, false, {}};
  EXPECT_EQ(side_.decode(TestPrompt(20)), 3u);
  EXPECT_EQ(side_.fetching, 1) << "they are all that there are";
}

TEST_F(StoreConnectorTest, TransfersAreRecorded) {
  make();
  store_->found = {4, false, {}};
  EXPECT_EQ(side_.decode(TestPrompt(20)), 4u);
  const auto records = side_.connector().take_records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].bytes, 4 * small_kv_layout().block_bytes());
  EXPECT_EQ(records[0].descriptors, 4u);
  EXPECT_GE(records[0].time, records[0].post);
  EXPECT_EQ(side_.connector().stats().transfers, 1u);
  EXPECT_TRUE(side_.connector().take_records().empty());
}

}  // namespace
}  // namespace kvasir
