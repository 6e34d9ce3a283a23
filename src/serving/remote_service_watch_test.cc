#include "serving/remote_service_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/virtual_executor_fixture.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RemoteServiceWatchTest : public testing::Test {
 protected:
  void watch(std::vector<RemoteSource> sources) {
    watch_.reset();
    watch_.emplace(
        executor_, resolver_, std::move(sources), known_, seconds(5),
        [this](const std::vector<RemoteService>& services) {
          known_ = services;
          told_.clear();
          for (const RemoteService& service : services) {
            told_.push_back(service.source.plugin + "@" + address_text(service.address));
          }
          ++changes_;
        },
        [this](std::string_view why) { troubles_.emplace_back(why); });
    executor_.run_until(executor_.now());
  }
  void wait(Duration duration) { executor_.run_until(executor_.now() + duration); }

  static RemoteSource source(const std::string& plugin, const std::string& url) {
    return {plugin, url, seconds(1)};
  }

  VirtualExecutor executor_;
  FakeResolver resolver_;
  std::vector<RemoteService> known_;
  std::vector<std::string> told_;
  std::vector<std::string> troubles_;
  int changes_ = 0;
  std::optional<RemoteServiceWatch> watch_;
};

TEST_F(RemoteServiceWatchTest, AServiceThatMovesIsFound) {
  resolver_.set("m", {"10.0.0.1"});
  watch({source("p", "http://m:80")});
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  EXPECT_EQ(changes_, 2) << "nothing waits for the first look-up";
  EXPECT_EQ(known_[0].host, "m:80");
  EXPECT_EQ(known_[0].address, with_port(*literal_address("10.0.0.1"), 80));
  resolver_.set("m", {"10.0.0.9", "10.0.0.1"});
  wait(seconds(10));
  EXPECT_EQ(changes_, 2) << "it keeps its address while it is one of the name's";
  resolver_.set("m", {"fd00::2", "10.0.0.2"});
  wait(seconds(5));
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.2"));
  EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(RemoteServiceWatchTest, AFailedLookUpKeepsTheAddressAndIsToldOnce) {
  resolver_.set("m", {"10.0.0.1"});
  resolver_.set("n", {});
  watch({source("p", "http://m:80"), source("q", "http://n:80")});
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  EXPECT_THAT(troubles_, ElementsAre("n has no address"));
  resolver_.fail("m", "no answer");
  wait(seconds(20));
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  EXPECT_THAT(troubles_, ElementsAre("n has no address", "no answer"));
  resolver_.set("n", {"10.0.0.3"});
  resolver_.set("m", {"10.0.0.1"});
  wait(seconds(5));
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1", "q@10.0.0.3"));
}

// A reload: what is known counts at once, under the new plugin's name.
TEST_F(RemoteServiceWatchTest, AnotherConfigurationKeepsTheAddressesItNeeds) {
  resolver_.set("m", {"10.0.0.1"});
  watch({source("p", "http://m:80"), source("q", "http://m:80")});
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1", "q@10.0.0.1"));
  EXPECT_EQ(resolver_.look_ups("m"), 1);
  resolver_.hang("m");
  watch({source("r", "http://m:81")});
  EXPECT_THAT(told_, ElementsAre("r@10.0.0.1"));
  EXPECT_EQ(known_[0].address, with_port(*literal_address("10.0.0.1"), 81));
  watch({});
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(RemoteServiceWatchTest, ALiteralAddressIsKnownAtOnce) {
  watch({source("p", "http://10.0.0.7:80"), source("q", "http://[::1]:80")});
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.7", "q@::1"));
  EXPECT_EQ(changes_, 1);
  wait(seconds(60));
  EXPECT_EQ(resolver_.look_ups("10.0.0.7"), 0);
}

}  // namespace
}  // namespace kvasir
