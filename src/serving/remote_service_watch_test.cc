#include "serving/remote_service_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>

#include "base/guarded.h"
#include "feeds/address_book.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RemoteServiceWatchTest : public testing::Test {
 protected:
  // A look-up may outlive the test.
  struct Resolving {
    Guarded<std::map<std::string, std::string>> names;
    std::atomic<int> look_ups{0};
  };

  void watch(std::vector<RemoteSource> sources) {
    watch_.reset();
    watch_ = std::make_unique<RemoteServiceWatch>(
        *loop_, std::move(sources), known_, std::chrono::milliseconds(1),
        [this](const std::vector<RemoteService>& services) {
          known_ = services;
          told_.clear();
          for (const RemoteService& service : services) {
            told_.push_back(service.source.plugin + "@" + address_text(service.address));
          }
          ++changes_;
        },
        [this](std::string_view why) { troubles_.emplace_back(why); },
        [resolving = resolving_](const RemoteSource& source) -> Result<RemoteService> {
          ++resolving->look_ups;
          const std::string address = resolving->names.with([&](const auto& names) {
            const auto found = names.find(source.url);
            return found == names.end() ? std::string() : found->second;
          });
          if (address.empty()) return Error{"no " + source.url};
          return RemoteService{source, source.url, resolve(address, 80).value()};
        });
  }
  void set(const std::string& url, const std::string& address) {
    resolving_->names.with([&](auto& names) { names[url] = address; });
  }
  // Until as many look-ups were made from now on and their results were used.
  void run_for_look_ups(int count) {
    const int until = resolving_->look_ups + count;
    std::function<void()> check = [&] {
      if (resolving_->look_ups >= until) return loop_->stop();
      loop_->after(std::chrono::milliseconds(1), check);
    };
    check();
    loop_->run();
  }

  static RemoteSource source(const std::string& plugin, const std::string& url) {
    return {plugin, url, std::chrono::seconds(1)};
  }

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  const std::shared_ptr<Resolving> resolving_ = std::make_shared<Resolving>();
  std::vector<RemoteService> known_;
  std::vector<std::string> told_;
  std::vector<std::string> troubles_;
  int changes_ = 0;
  std::unique_ptr<RemoteServiceWatch> watch_;
};

TEST_F(RemoteServiceWatchTest, AServiceThatMovesIsFound) {
  set("http://m:80", "10.0.0.1");
  watch({source("p", "http://m:80")});
  EXPECT_THAT(told_, IsEmpty()) << "nothing waits for the first look-up";
  run_for_look_ups(2);
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  run_for_look_ups(3);
  EXPECT_EQ(changes_, 2) << "the same address is no news";
  set("http://m:80", "10.0.0.2");
  run_for_look_ups(3);
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.2"));
  EXPECT_THAT(troubles_, IsEmpty());
}

TEST_F(RemoteServiceWatchTest, AFailedLookUpKeepsTheAddressAndIsToldOnce) {
  set("http://m:80", "10.0.0.1");
  watch({source("p", "http://m:80"), source("q", "http://n:80")});
  run_for_look_ups(4);
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  set("http://m:80", "");
  run_for_look_ups(6);
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1"));
  EXPECT_THAT(troubles_, ElementsAre("no http://n:80"));
  set("http://n:80", "10.0.0.3");
  set("http://m:80", "10.0.0.1");
  run_for_look_ups(6);
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.1", "q@10.0.0.3"));
}

// A reload: what is known counts at once, under the new plugin's name.
TEST_F(RemoteServiceWatchTest, AnotherConfigurationKeepsTheAddressesItNeeds) {
  set("http://m:80", "10.0.0.1");
  watch({source("p", "http://m:80"), source("q", "http://m:80")});
  run_for_look_ups(4);
  watch({source("r", "http://m:80")});
  EXPECT_THAT(told_, ElementsAre("r@10.0.0.1"));
  watch({});
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(RemoteServiceWatchTest, ALiteralAddressIsLookedUpOnce) {
  set("http://10.0.0.7:80", "10.0.0.7");
  watch({source("p", "http://10.0.0.7:80")});
  std::function<void()> check = [&] {  // the look-up may be over already
    if (!told_.empty()) return loop_->stop();
    loop_->after(std::chrono::milliseconds(1), check);
  };
  check();
  loop_->run();
  loop_->after(std::chrono::milliseconds(20), [this] { loop_->stop(); });
  loop_->run();
  EXPECT_THAT(told_, ElementsAre("p@10.0.0.7"));
  EXPECT_EQ(resolving_->look_ups, 1);
  watch({source("q", "http://10.0.0.7:80")});
  EXPECT_THAT(told_, ElementsAre("q@10.0.0.7")) << "known already";
  EXPECT_EQ(resolving_->look_ups, 1);
}

}  // namespace
}  // namespace kvasir
