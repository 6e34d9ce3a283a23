#include "feeds/name_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class NameWatchTest : public testing::Test {
 protected:
  void watch(const std::vector<std::string>& hosts) {
    watch_.emplace(
        executor_, resolver_, hosts, seconds(5),
        [this](const std::string& host, const Resolver::Addresses& addresses) {
          std::string words = host + " =";
          for (const SocketAddress& address : addresses) words += " " + address_text(address);
          told_.push_back(words);
        },
        [this](const std::string& host, const std::string& why) {
          told_.push_back(host + ": " + why);
        });
  }
  // What was told meanwhile.
  std::vector<std::string> after(Duration duration) {
    executor_.run_until(executor_.now() + duration);
    return std::exchange(told_, {});
  }

  VirtualExecutor executor_;
  FakeResolver resolver_;
  std::vector<std::string> told_;
  std::optional<NameWatch> watch_;
};

TEST_F(NameWatchTest, AddressesAreToldAtOnceAndWhenTheyChange) {
  resolver_.set("a.svc", {"10.0.0.2", "10.0.0.1"});
  watch({"a.svc", "a.svc"});
  EXPECT_FALSE(watch_->settled());
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(after(seconds(0)), ElementsAre("a.svc = 10.0.0.2 10.0.0.1"));
  EXPECT_TRUE(watch_->settled());
  resolver_.set("a.svc", {"10.0.0.1", "10.0.0.2"});
  EXPECT_THAT(after(seconds(5)), IsEmpty()) << "the same in another order";
  EXPECT_EQ(resolver_.look_ups("a.svc"), 2);
  resolver_.set("a.svc", {"fd00::3", "10.0.0.1"});
  EXPECT_THAT(after(seconds(5) - Duration(1)), IsEmpty());
  EXPECT_THAT(after(Duration(1)), ElementsAre("a.svc = fd00::3 10.0.0.1"));
  resolver_.set("a.svc", {});
  EXPECT_THAT(after(seconds(10)), ElementsAre("a.svc ="));
}

TEST_F(NameWatchTest, AFailureIsToldOnceAndChangesNothing) {
  resolver_.set("a.svc", {"10.0.0.1"});
  watch({"a.svc"});
  after(seconds(0));
  resolver_.fail("a.svc", "try again");
  EXPECT_THAT(after(seconds(20)), ElementsAre("a.svc: try again"));
  resolver_.set("a.svc", {"10.0.0.1"});
  EXPECT_THAT(after(seconds(5)), IsEmpty());
  resolver_.fail("a.svc", "try again");
  EXPECT_THAT(after(seconds(5)), ElementsAre("a.svc: try again"));
}

TEST_F(NameWatchTest, OneThatHangsDelaysNoOther) {
  resolver_.hang("a.svc");
  resolver_.set("b.svc", {"10.0.0.2"});
  watch({"a.svc", "b.svc"});
  EXPECT_THAT(after(seconds(60)), ElementsAre("b.svc = 10.0.0.2"));
  EXPECT_FALSE(watch_->settled());
  EXPECT_EQ(resolver_.look_ups("a.svc"), 1) << "one at a time";
  EXPECT_EQ(resolver_.look_ups("b.svc"), 13);
  watch_.reset();
  EXPECT_EQ(resolver_.under_way(), 0);
  EXPECT_THAT(after(seconds(60)), IsEmpty());
}

TEST_F(NameWatchTest, OfManyOnlyAFewAreLookedUpAtOnce) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 100; ++i) hosts.push_back("h" + std::to_string(i) + ".svc");
  for (const std::string& host : hosts) resolver_.set(host, {"10.0.0.1"});
  watch(hosts);
  EXPECT_EQ(resolver_.under_way(), 64);
  EXPECT_EQ(after(seconds(0)).size(), 100u);
  EXPECT_TRUE(watch_->settled());
}

TEST_F(NameWatchTest, OfThreeHundredFiftyThatHangDelayNoOther) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 300; ++i) hosts.push_back("h" + std::to_string(i) + ".svc");
  for (size_t i = 0; i < hosts.size(); ++i) {
    i % 6 == 0 ? resolver_.hang(hosts[i]) : resolver_.set(hosts[i], {"10.0.0.1"});
  }
  watch(hosts);
  EXPECT_EQ(after(seconds(0)).size(), 250u);
  EXPECT_EQ(resolver_.under_way(), 50);
}

TEST_F(NameWatchTest, ALiteralIsLookedUpOnce) {
  watch({"10.0.0.7"});
  EXPECT_THAT(after(seconds(60)), ElementsAre("10.0.0.7 = 10.0.0.7"));
  EXPECT_EQ(resolver_.look_ups("10.0.0.7"), 1);
}

}  // namespace
}  // namespace kvasir
