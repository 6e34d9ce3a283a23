#include "net/io/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/virtual_executor_fixture.h"
#include "net/io/event_loop.h"
#include "net/io/resolver_fixture.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A system whose look-ups take until the test lets them go, or for ever.
class SlowSystem {
 public:
  Result<Resolver::Addresses> ask(const std::string& host) {
    std::unique_lock<std::mutex> lock(mutex_);
    asked_.push_back(host);
    most_at_once_ = std::max(most_at_once_, ++at_once_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --at_once_;
    changed_.notify_all();
    return Resolver::Addresses{*literal_address("10.0.0.1")};
  }
  void open() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void close() {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
  }
  // Waits until as many threads are in it.
  void wait_for(int at_once) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return at_once_ == at_once; });
  }
  std::vector<std::string> asked() {
    std::lock_guard<std::mutex> lock(mutex_);
    return asked_;
  }
  int most_at_once() {
    std::lock_guard<std::mutex> lock(mutex_);
    return most_at_once_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> asked_;
  int at_once_ = 0;
  int most_at_once_ = 0;
  bool open_ = false;
};

// Threads outlive the test when it fails: they share the system.
class ResolverTest : public testing::Test {
 protected:
  ~ResolverTest() override { system_->open(); }

  std::unique_ptr<SystemResolver> make(ResolverLimits limits = {}) const {
    return std::make_unique<SystemResolver>(
        limits, [system = system_](const std::string& host) { return system->ask(host); });
  }
  std::unique_ptr<Resolver::LookUp> look_up(Resolver& resolver, const std::string& host) {
    return look_up(resolver, host, *loop_);
  }
  std::unique_ptr<Resolver::LookUp> look_up(Resolver& resolver, const std::string& host,
                                            Executor& executor) {
    return resolver.look_up(executor, host, [this, host](const auto& found) {
      told_.push_back(host + ": " + text(found));
    });
  }
  static std::string text(const Result<Resolver::Addresses>& found) {
    if (!found) return found.error().message;
    std::string words;
    for (const SocketAddress& address : *found) {
      words += (words.empty() ? "" : " ") + address_text(address);
    }
    return words;
  }
  // Until as many were told.
  void run_for(size_t count) {
    while (told_.size() < count) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
  }

  std::shared_ptr<SlowSystem> system_ = std::make_shared<SlowSystem>();
  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  VirtualExecutor virtual_;
  std::vector<std::string> told_;
};

TEST_F(ResolverTest, ALiteralIsItsOwnAnswerInALaterTurn) {
  const auto resolver = make({.threads_max = 0});
  const auto ipv4 = look_up(*resolver, "10.0.0.7", virtual_);
  const auto ipv6 = look_up(*resolver, "fd00::7", virtual_);
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_TRUE(virtual_.run_until_idle(10));
  EXPECT_THAT(told_, ElementsAre("10.0.0.7: 10.0.0.7", "fd00::7: fd00::7"));
  EXPECT_THAT(system_->asked(), IsEmpty());
}

TEST_F(ResolverTest, ANameIsLookedUpElsewhereAndAnsweredHere) {
  system_->open();
  std::thread::id asked_on;
  SystemResolver resolver({}, [&, system = system_](const std::string& host) {
    asked_on = std::this_thread::get_id();
    return system->ask(host);
  });
  std::thread::id answered_on;
  const auto look_up =
      resolver.look_up(*loop_, "a.svc", [&](const Result<Resolver::Addresses>& found) {
        answered_on = std::this_thread::get_id();
        told_.push_back(text(found));
      });
  run_for(1);
  EXPECT_THAT(told_, ElementsAre("10.0.0.1"));
  EXPECT_EQ(answered_on, std::this_thread::get_id());
  EXPECT_NE(asked_on, std::this_thread::get_id());
}

TEST_F(ResolverTest, EqualLookUpsUnderWayAreOne) {
  const auto resolver = make();
  const auto first = look_up(*resolver, "a.svc");
  system_->wait_for(1);
  const auto second = look_up(*resolver, "a.svc");
  auto given_up = look_up(*resolver, "a.svc");
  given_up.reset();
  system_->open();
  run_for(2);
  EXPECT_THAT(told_, ElementsAre("a.svc: 10.0.0.1", "a.svc: 10.0.0.1"));
  EXPECT_THAT(system_->asked(), ElementsAre("a.svc"));
  const auto third = look_up(*resolver, "a.svc");
  run_for(3);
  EXPECT_THAT(system_->asked(), ElementsAre("a.svc", "a.svc")) << "an answer is not kept";
}

TEST_F(ResolverTest, ThreadsAreLimited) {
  const auto resolver = make({.threads_max = 2});
  std::vector<std::unique_ptr<Resolver::LookUp>> look_ups;
  for (const char* host : {"a", "b", "c", "d", "e"}) look_ups.push_back(look_up(*resolver, host));
  system_->wait_for(2);
  look_ups[3].reset();
  system_->open();
  run_for(4);
  EXPECT_EQ(system_->most_at_once(), 2);
  EXPECT_THAT(system_->asked(), UnorderedElementsAre("a", "b", "c", "e"))
      << "what is given up while it waits is not looked up";
}

TEST_F(ResolverTest, FifteenSlowOnesDelayNoOther) {
  SystemResolver resolver({}, [system = system_](const std::string& host) {
    if (host.starts_with("slow")) return system->ask(host);
    return Result<Resolver::Addresses>(Resolver::Addresses{*literal_address("10.0.0.2")});
  });
  std::vector<std::unique_ptr<Resolver::LookUp>> look_ups;
  for (int i = 0; i < 15; ++i) look_ups.push_back(look_up(resolver, "slow" + std::to_string(i)));
  for (const char* host : {"a", "b"}) look_ups.push_back(look_up(resolver, host));
  run_for(2);
  EXPECT_THAT(told_, ElementsAre("a: 10.0.0.2", "b: 10.0.0.2"));
}

TEST_F(ResolverTest, LookUpsAreLimited) {
  const auto resolver = make({.threads_max = 1, .look_ups_max = 2});
  auto first = look_up(*resolver, "a");
  const auto second = look_up(*resolver, "a");
  const auto third = look_up(*resolver, "b");
  run_for(1);
  EXPECT_THAT(told_, ElementsAre("b: cannot look up b: too many look-ups are under way"));
  first.reset();
  const auto fourth = look_up(*resolver, "b");
  system_->open();
  run_for(3);
  EXPECT_THAT(told_, ElementsAre(testing::_, "a: 10.0.0.1", "b: 10.0.0.1"));
}

TEST_F(ResolverTest, ASlowLookUpFailsInTimeAndTheNextOneJoinsIt) {
  const auto resolver = make({.timeout = seconds(15)});
  const auto first = look_up(*resolver, "a.svc", virtual_);
  system_->wait_for(1);
  virtual_.run_until(TimePoint(seconds(15)) - Duration(1));
  EXPECT_THAT(told_, IsEmpty());
  virtual_.run_until(TimePoint(seconds(15)));
  EXPECT_THAT(told_, ElementsAre("a.svc: cannot look up a.svc: no answer within 15 s"));
  told_.clear();
  const auto second = look_up(*resolver, "a.svc");
  system_->open();
  run_for(1);
  EXPECT_THAT(told_, ElementsAre("a.svc: 10.0.0.1"));
  EXPECT_THAT(system_->asked(), ElementsAre("a.svc"));
}

TEST_F(ResolverTest, OneThatIsGivenUpIsNotAnswered) {
  const auto resolver = make();
  auto before = look_up(*resolver, "a.svc");
  before.reset();
  system_->open();
  auto literal = look_up(*resolver, "10.0.0.7");
  literal.reset();
  const auto last = look_up(*resolver, "b.svc");
  run_for(1);
  EXPECT_THAT(told_, ElementsAre("b.svc: 10.0.0.1"));
}

TEST_F(ResolverTest, AnAnswerMayEndItsLookUpAndStartAnother) {
  system_->open();
  const auto resolver = make();
  std::unique_ptr<Resolver::LookUp> look_up;
  look_up = resolver->look_up(*loop_, "a.svc", [&](const auto&) {
    look_up = resolver->look_up(*loop_, "b.svc", [&](const auto& found) {
      told_.push_back(text(found));
      look_up.reset();
    });
  });
  run_for(1);
  EXPECT_THAT(told_, ElementsAre("10.0.0.1"));
}

// The system may take as long as it likes: nobody waits for it, and nothing stays behind.
TEST_F(ResolverTest, ItsEndWaitsForNoLookUp) {
  const std::weak_ptr<SlowSystem> still_used = system_;
  {
    const auto resolver = make({.threads_max = 1});
    const auto under_way = look_up(*resolver, "a.svc");
    const auto queued = look_up(*resolver, "b.svc");
    system_->wait_for(1);
  }
  loop_.reset();
  system_->open();
  system_->wait_for(0);
  EXPECT_THAT(system_->asked(), ElementsAre("a.svc"));
  system_.reset();
  while (!still_used.expired()) std::this_thread::yield();
  system_ = std::make_shared<SlowSystem>();
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ResolverTest, TheSystemKnowsThisMachineAndNoMadeUpName) {
  SystemResolver resolver;
  const auto local = look_up_first(*loop_, resolver, {"localhost", 80});
  ASSERT_TRUE(local) << local.error().message;
  EXPECT_TRUE(is_loopback(address_text(*local)));
  const auto none = look_up_first(*loop_, resolver, {"no.such.host.invalid", 80});
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("cannot look up no.such.host.invalid: "));
}

TEST(SocketAddress, ALiteralKeepsItsWords) {
  for (const char* host : {"10.0.0.1", "::1", "fd00::2:1"}) {
    EXPECT_EQ(address_text(literal_address(host).value()), host);
  }
  for (const char* host : {"", "localhost", "10.0.0", "10.0.0.1:80", "[::1]", "1.2.3.4.5"}) {
    EXPECT_FALSE(literal_address(host)) << host;
  }
  EXPECT_EQ(with_port(*literal_address("127.0.0.1"), 80), resolve("127.0.0.1", 80).value());
  EXPECT_EQ(with_port(*literal_address("::1"), 80), resolve("::1", 80).value());
  EXPECT_FALSE(with_port(*literal_address("::1"), 80) == *literal_address("::1"));
}

TEST(PreferredAddress, IsTheFirstIpv4) {
  const Resolver::Addresses addresses{*literal_address("fd00::1"), *literal_address("10.0.0.2"),
                                      *literal_address("10.0.0.3")};
  EXPECT_EQ(address_text(preferred_address(addresses)), "10.0.0.2");
  EXPECT_EQ(address_text(preferred_address({*literal_address("fd00::1")})), "fd00::1");
}

TEST(FakeResolver, SaysWhatTheTestSetOrNothing) {
  VirtualExecutor executor;
  FakeResolver resolver;
  std::vector<std::string> told;
  const auto ask = [&](const std::string& host) {
    return resolver.look_up(executor, host, [&told](const Result<Resolver::Addresses>& found) {
      told.push_back(found ? std::to_string(found->size()) : found.error().message);
    });
  };
  resolver.set("two", {"10.0.0.1", "fd00::1"});
  resolver.set("none", {});
  resolver.hang("slow");
  auto slow = ask("slow");
  const auto two = ask("two"), none = ask("none"), other = ask("other"), literal = ask("10.0.0.9");
  { const auto given_up = ask("two"); }
  EXPECT_EQ(resolver.under_way(), 5);
  EXPECT_TRUE(executor.run_until_idle(10));
  EXPECT_THAT(told, ElementsAre("2", "0", "the resolver is away", "1"));
  EXPECT_EQ(resolver.under_way(), 1);
  slow.reset();
  EXPECT_EQ(resolver.under_way(), 0);
  EXPECT_EQ(resolver.look_ups("two"), 2);
}

}  // namespace
}  // namespace kvasir
