#include "pdproxy/prefill_rooms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty;

// Prompts are named by letters; a step takes 100 tokens.
class PrefillRoomsTest : public ::testing::Test {
 protected:
  struct Asked {
    std::string name;
    std::unique_ptr<LegWait> wait;
    RoomGrant grant;
  };

  void use(size_t workers) {
    options_.fs_prompt_tokens_max = 100;
    for (size_t i = 0; i < workers; ++i) {
      options_.prefill.push_back({{"w", static_cast<uint16_t>(i)}, "w"});
    }
    workers_.emplace(options_);
    rooms_.emplace(*workers_, options_);
  }
  PdWorkerRef worker(size_t index) const { return workers_->list()[index].worker; }
  void ask(const std::string& name, uint64_t tokens, PdWorkerRef only = nullptr) {
    asked_.push_back({name, nullptr, {}});
    const RoomWish wish{tokens, 3, std::move(only)};
    if (std::optional<RoomGrant> grant = rooms_->take(wish, executor_.now())) {
      asked_.back().grant = std::move(*grant);
      sent_.push_back(name);
      return;
    }
    asked_.back().wait = rooms_->wait(executor_, wish, [this, name](Result<RoomGrant> outcome) {
      Asked& asked = of(name);
      asked.wait.reset();
      if (!outcome) return errors_.push_back(outcome.error().message);
      asked.grant = std::move(*outcome);
      sent_.push_back(name);
    });
  }
  Asked& of(const std::string& name) {
    return *std::find_if(asked_.begin(), asked_.end(),
                         [&name](const Asked& asked) { return asked.name == name; });
  }
  void end(const std::string& name) {
    of(name).grant = RoomGrant();
    settle();
  }
  void leave(const std::string& name) {
    of(name).wait.reset();
    settle();
  }
  void settle() { executor_.run_until(executor_.now()); }

  PdProxyOptions options_;
  VirtualExecutor executor_;
  std::optional<PdWorkers> workers_;
  std::optional<PrefillRooms> rooms_;
  std::vector<Asked> asked_;
  std::vector<std::string> sent_, errors_;
};

TEST_F(PrefillRoomsTest, TogetherTheyHaveNoMoreThanOneStepTakes) {
  use(1);
  ask("a", 60);
  ask("b", 40);
  ask("c", 1);
  settle();
  EXPECT_THAT(sent_, ElementsAre("a", "b"));
  EXPECT_EQ(worker(0)->prompt_tokens, 100u);
  EXPECT_EQ(rooms_->waiting(), 1u);
  end("b");
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c"));
  end("a");
  end("c");
  EXPECT_EQ(worker(0)->prompt_tokens, 0u);
  EXPECT_EQ(worker(0)->legs, 0u);
}

TEST_F(PrefillRoomsTest, FirstComeFirstServed) {
  use(1);
  ask("a", 60);
  ask("large", 90);
  ask("small", 10);
  settle();
  EXPECT_THAT(sent_, ElementsAre("a")) << "a small one does not starve the large one";
  end("a");
  EXPECT_THAT(sent_, ElementsAre("a", "large", "small"));
}

TEST_F(PrefillRoomsTest, TheWorkerWithRoomIsTaken) {
  use(2);
  ask("a", 90);
  ask("b", 60);
  ask("c", 30);
  ask("d", 90);
  settle();
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c"));
  EXPECT_EQ(of("c").grant.prefillers.workers.front(), of("b").grant.prefillers.workers.front());
  const PdWorkerRef freed = of("a").grant.prefillers.workers.front();
  end("a");
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(of("d").grant.prefillers.workers.front(), freed);
  EXPECT_EQ(of("d").grant.prefillers.workers.size(), 2u) << "the other one comes next";
}

// It has room because nothing runs there.
TEST_F(PrefillRoomsTest, AWorkerThatFailedLatelyIsNotTakenForItsRoom) {
  use(2);
  worker(0)->failed(executor_.now(), options_.avoid_for);
  ask("a", 90);
  ask("b", 90);
  settle();
  EXPECT_THAT(sent_, ElementsAre("a"));
  worker(1)->failed(executor_.now(), options_.avoid_for);
  ask("c", 1);
  end("a");
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c")) << "when all did, they are as good as each other";
}

TEST_F(PrefillRoomsTest, WhoNeedsOneWorkerKeepsNobodyFromAnother) {
  use(2);
  ask("a", 90, worker(0));
  ask("again", 50, worker(0));
  ask("b", 90);
  ask("c", 10);
  settle();
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c"));
  EXPECT_EQ(of("b").grant.prefillers.workers.front(), worker(1));
  EXPECT_EQ(of("c").grant.prefillers.workers.front(), worker(1)) << "the other one is claimed";
  end("a");
  EXPECT_THAT(sent_, ElementsAre("a", "b", "c", "again"));
}

TEST_F(PrefillRoomsTest, WhoLeavesMakesWay) {
  use(1);
  ask("a", 60);
  ask("b", 60);
  ask("c", 40);
  leave("b");
  EXPECT_THAT(sent_, ElementsAre("a", "c"));
  ask("d", 40);
  of("a").grant = RoomGrant();  // d's room is on its way
  of("d").wait.reset();
  settle();
  EXPECT_THAT(sent_, ElementsAre("a", "c"));
  EXPECT_EQ(worker(0)->prompt_tokens, 40u);
}

TEST_F(PrefillRoomsTest, TheQueueIsBoundedInNumberAndTime) {
  options_.fs_waiting_max = 1;
  use(1);
  ask("a", 60);
  ask("b", 60);
  ask("c", 60);
  settle();
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_THAT(errors_.front(), HasSubstr("--fs-max-waiting"));
  executor_.run_until(executor_.now() + options_.fs_wait_max - std::chrono::milliseconds(1));
  EXPECT_EQ(errors_.size(), 1u);
  executor_.run_until(executor_.now() + std::chrono::milliseconds(1));
  ASSERT_EQ(errors_.size(), 2u);
  EXPECT_THAT(errors_.back(), HasSubstr("--fs-wait"));
  EXPECT_EQ(rooms_->waiting(), 0u);
}

// Asks, and gives back what it got in a later turn, again and again; every seventh time it leaves
// the queue at once.
class RoomUser {
 public:
  RoomUser(PrefillRooms& rooms, int times)
      : rooms_(rooms), loop_(std::move(EventLoop::create().value())), times_(times) {}

  void run() {
    next();
    loop_->run();
  }
  uint64_t tokens_most() const { return tokens_most_; }

 private:
  void next() {
    grant_ = RoomGrant();
    if (times_-- == 0) return loop_->stop();
    const RoomWish wish{60, 1};
    if (std::optional<RoomGrant> grant = rooms_.take(wish, loop_->now())) {
      return use(std::move(*grant));
    }
    wait_ = rooms_.wait(*loop_, wish, [this](Result<RoomGrant> outcome) {
      wait_.reset();
      if (outcome) use(std::move(*outcome));
    });
    if (times_ % 7 != 0) return;
    wait_.reset();
    loop_->post([this] { next(); });
  }
  void use(RoomGrant grant) {
    grant_ = std::move(grant);
    const PdWorker& worker = *grant_.prefillers.workers.front();
    tokens_most_ = std::max<uint64_t>(tokens_most_, worker.prompt_tokens);
    loop_->post([this] { next(); });
  }

  PrefillRooms& rooms_;
  const std::unique_ptr<EventLoop> loop_;
  int times_;
  uint64_t tokens_most_ = 0;
  RoomGrant grant_;
  std::unique_ptr<LegWait> wait_;
};

TEST_F(PrefillRoomsTest, ThreadsShareTheRoom) {
  use(2);
  std::vector<std::unique_ptr<RoomUser>> users;
  for (int i = 0; i < 4; ++i) users.push_back(std::make_unique<RoomUser>(*rooms_, 500));
  std::vector<std::thread> threads;
  for (const auto& user : users) threads.emplace_back([&user] { user->run(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& user : users) EXPECT_EQ(user->tokens_most(), 60u);
  users.clear();
  EXPECT_EQ(rooms_->waiting(), 0u);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(worker(i)->prompt_tokens, 0u);
}

TEST_F(PrefillRoomsTest, WithoutAnyWorkerNobodyWaits) {
  use(0);
  ask("a", 60);
  EXPECT_THAT(sent_, ElementsAre("a"));
  EXPECT_THAT(of("a").grant.prefillers.workers, IsEmpty());
  EXPECT_FALSE(of("a").grant.room.is_taken());
}

}  // namespace
}  // namespace kvasir
