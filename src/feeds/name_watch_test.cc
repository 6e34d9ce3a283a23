#include "feeds/name_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "base/guarded.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Names = std::map<std::string, std::vector<std::string>>;

class NameWatchTest : public testing::Test {
 protected:
  void set(const std::string& host, std::vector<std::string> addresses) {
    resolving_->names.with([&](Names& names) { names[host] = addresses; });
  }
  void run_for_look_ups(int count) {
    const int until = resolving_->look_ups + count;
    std::function<void()> check = [&] {
      if (resolving_->look_ups >= until) return loop_->stop();
      loop_->after(std::chrono::milliseconds(1), check);
    };
    check();
    loop_->run();
  }

  // A look-up may outlive the test.
  struct Resolving {
    Guarded<Names> names;
    std::atomic<int> look_ups{0};
  };

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  const std::shared_ptr<Resolving> resolving_ = std::make_shared<Resolving>();
  std::vector<std::string> told_;
  NameWatch watch_{
      *loop_,
      {{"a.svc", "10.0.0.1"}, {"b.svc", "10.0.0.2"}},
      std::chrono::milliseconds(1),
      [this](const NameWatch::Addresses& moved) {
        for (const auto& [host, address] : moved) told_.push_back(host + "=" + address);
      },
      [this](std::string_view host, std::string_view why) {
        told_.push_back(std::string(host) + ": " + std::string(why));
      },
      [resolving = resolving_](const std::string& host) {
        ++resolving->look_ups;
        return resolving->names.with([&](const Names& names) -> Result<std::vector<std::string>> {
          const auto found = names.find(host);
          if (found == names.end()) return Error{"the resolver is away"};
          return found->second;
        });
      }};
};

TEST_F(NameWatchTest, ANameThatMovedIsToldOnce) {
  set("a.svc", {"fd00::1", "10.0.0.1"});
  set("b.svc", {"10.0.0.2"});
  run_for_look_ups(6);
  EXPECT_THAT(told_, IsEmpty()) << "it still has the address that is in use";
  set("a.svc", {"fd00::1", "10.0.0.9", "10.0.0.8"});
  run_for_look_ups(6);
  set("a.svc", {"10.0.0.8", "10.0.0.9"});
  run_for_look_ups(6);
  EXPECT_THAT(told_, ElementsAre("a.svc=10.0.0.9"));
}

TEST_F(NameWatchTest, ANameThatCannotBeLookedUpKeepsItsAddress) {
  set("b.svc", {});
  run_for_look_ups(8);
  EXPECT_THAT(told_, ElementsAre("a.svc: the resolver is away", "b.svc: it has no address"));
  told_.clear();
  set("a.svc", {"10.0.0.1"});
  set("b.svc", {"10.0.0.3"});
  run_for_look_ups(8);
  EXPECT_THAT(told_, ElementsAre("b.svc=10.0.0.3"));
}

}  // namespace
}  // namespace kvasir
