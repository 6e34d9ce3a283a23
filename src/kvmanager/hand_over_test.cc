#include "kvmanager/hand_over.h"

#include <gtest/gtest.h>

#include "kvevents/batch_memory.h"
#include "kvmanager/cache_manager_fixture.h"
#include "kvmanager/manager_server.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// A manager that others may ask, and a question to it.
class HandOverTest : public ::testing::Test {
 protected:
  struct Offered {
    std::optional<KvSnapshot> snapshot;
    bool last = false;
  };
  // Until `decide` said that it took one, or none follows.
  std::vector<Offered> offers(const std::function<bool(const Offered&)>& decide,
                              HandOverOptions options = quick()) {
    std::vector<Offered> all;
    HandOver hand_over(
        *loop_, options,
        [this] {
          ++rounds_;
          return peers_;
        },
        [&](std::optional<KvSnapshot> snapshot, bool last, const HandOver::Decided& decided) {
          all.push_back({std::move(snapshot), last});
          const bool taken = decide(all.back());
          decided(taken);
          if (taken || last) loop_->after(std::chrono::milliseconds(20), [this] { loop_->stop(); });
        });
    loop_->run();
    return all;
  }
  static HandOverOptions quick() {
    HandOverOptions options;
    options.first_pause = options.pause_max = std::chrono::milliseconds(1);
    return options;
  }

  const std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create()).value();
  ManagedFleet there_;
  ManagerServer server_{*loop_, listen_tcp("127.0.0.1", 0, false).value(), there_.manager, {}};
  std::vector<PeerWatch::PeerAddress> peers_ = {
      {*resolve("127.0.0.1", 1), {"127.0.0.1", 1}},  // nobody is there
      {*resolve("127.0.0.1", server_.port()), {"127.0.0.1", server_.port()}}};
  int rounds_ = 0;
};

TEST_F(HandOverTest, ItIsOfferedAgainUntilItIsTaken) {
  const KvSourceId a = there_.publisher("kv@a@m");
  there_.store(a, {1, 2, 3, 4}, 10);
  there_.manager->set_position(a, KvStreamPosition{5, 6, true});
  int refused = 0;
  const std::vector<Offered> all = offers([&](const Offered&) { return ++refused == 3; });
  ASSERT_EQ(all.size(), 3u);
  for (const Offered& each : all) {
    ASSERT_TRUE(each.snapshot);
    EXPECT_EQ(each.snapshot->sources,
              (std::vector<KvSnapshot::Source>{{"a", 0, KvStreamPosition{5, 6, true}}}));
    EXPECT_FALSE(each.last);
  }
}

TEST_F(HandOverTest, NobodyWhoKnowsAnythingIsAskedAFewTimes) {
  there_.publisher("kv@without position@m");
  const std::vector<Offered> all = offers([](const Offered&) { return false; });
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all.front().snapshot);
  EXPECT_TRUE(all.front().last);
  EXPECT_EQ(rounds_, 3);
}

TEST_F(HandOverTest, PatienceEnds) {
  there_.manager->set_position(there_.publisher("kv@a@m"), KvStreamPosition{5, 6, true});
  HandOverOptions options = quick();
  options.patience = Duration::zero();
  const std::vector<Offered> all = offers([](const Offered&) { return false; }, options);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all.front().snapshot);
  EXPECT_TRUE(all.front().last);
}

// --- What is done with it ------------------------------------------------------------------------

EventMessage message(std::string_view topic, uint64_t number, std::string_view batch) {
  return {topic, number, batch};
}

class TakeOverTest : public ::testing::Test {
 protected:
  TakeOverTest() {
    const KvSourceId a = there_.publisher("kv@a@m");
    there_.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
    there_.manager->set_position(a, KvStreamPosition{7, hash_of_batch("seven"), true});
  }
  std::optional<Result<CacheManager::TakenOver>> take_over(bool last) {
    return here_.manager->take_over(there_.manager->snapshot(), held_, last);
  }
  // The feed makes the source, and asks where its events go on.
  std::optional<KvStreamPosition> position(const std::string& topic) {
    const auto found = here_.manager->find(topic);
    return here_.manager->position(*here_.manager->add_source(found->first, 0, topic));
  }
  std::vector<uint64_t> held_numbers(const std::string& topic) {
    std::vector<uint64_t> numbers;
    for (const auto& batch : held_.publishers()[{topic, 0}].batches) {
      numbers.push_back(batch.number);
    }
    return numbers;
  }

  ManagedFleet there_;
  ManagedFleet here_;
  HeldMessages held_{1 << 20};
};

TEST_F(TakeOverTest, ItGoesOnWithTheBatchesAfterThose) {
  for (const auto& [number, batch] : {std::pair(6, "six"), {7, "seven"}, {8, "eight"}}) {
    held_.push(message("kv@a@m", number, batch), 0);
  }
  const auto taken = take_over(false);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->publishers, 1u);
  EXPECT_EQ((*taken)->blocks, 2u);
  EXPECT_EQ((*taken)->left_out, 0u);
  EXPECT_EQ(held_numbers("kv@a@m"), (std::vector<uint64_t>{7, 8}));  // 7 shows that it is the same
  EXPECT_EQ(position("kv@a@m"), (KvStreamPosition{7, hash_of_batch("seven"), true}));
}

TEST_F(TakeOverTest, ItWaitsUntilWhatIsHeldGoesOn) {
  EXPECT_FALSE(take_over(false)) << "nothing is held";
  held_.push(message("kv@a@m", 8, "eight"), 0);
  EXPECT_FALSE(take_over(false)) << "the other one has yet to hear what is held";
  held_.push(message("kv@a@m", 7, "another process's"), 0);
  EXPECT_FALSE(take_over(false)) << "another process";
  const auto taken = take_over(true);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->publishers, 0u);
  EXPECT_EQ((*taken)->left_out, 1u);
  EXPECT_EQ(held_numbers("kv@a@m"), (std::vector<uint64_t>{8, 7}));
  EXPECT_EQ(position("kv@a@m"), std::nullopt);
}

// Behind a ClusterIP it may go on publishing to the other one alone for a while.
TEST_F(TakeOverTest, WhoWasNotHeardIsLeftOutHoweverFarItIs) {
  there_.manager->set_position(there_.publisher("kv@b@m"), KvStreamPosition{5000, 1, true});
  held_.push(message("kv@a@m", 7, "seven"), 0);
  EXPECT_FALSE(take_over(false));
  const auto taken = take_over(true);
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->publishers, 1u);
  EXPECT_EQ((*taken)->left_out, 1u);
  EXPECT_EQ(position("kv@b@m"), std::nullopt);
  EXPECT_EQ(position("kv@a@m"), (KvStreamPosition{7, hash_of_batch("seven"), true}));
}

TEST_F(TakeOverTest, WhatIsHeldIsBounded) {
  HeldMessages held(2 * HeldMessages::kOverhead + 10);
  EXPECT_TRUE(held.push(message("a", 0, "12345"), 0));
  EXPECT_FALSE(held.push(message("a", 1, "123456"), 0));
  EXPECT_TRUE(held.push(message("b", 1, "12345"), 0));
  EXPECT_FALSE(held.push(message("b", 2, ""), 0));
}

}  // namespace
}  // namespace kvasir
