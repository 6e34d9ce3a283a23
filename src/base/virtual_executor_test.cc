#include "base/virtual_executor_fixture.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/lifeline.h"

namespace kvasir {
namespace {

constexpr Duration kSecond = std::chrono::seconds(1);

TEST(VirtualExecutor, TimeJumpsToWhatIsNextAndPostedWorkComesFirst) {
  VirtualExecutor executor;
  std::string written;
  const auto write = [&](char letter) {
    written += letter;
    written += std::to_string(executor.now().time_since_epoch() / kSecond);
  };
  executor.after(2 * kSecond, [&] { write('c'); });
  executor.after(kSecond, [&] {
    write('b');
    executor.post([&] { write('p'); });
    executor.after(Duration::zero(), [&] { write('z'); });
  });
  executor.post([&] { write('a'); });
  executor.run_until(TimePoint(kSecond));
  EXPECT_EQ(written, "a0b1p1z1");
  EXPECT_EQ(executor.now(), TimePoint(kSecond));
  EXPECT_TRUE(executor.run_until_idle(10));
  EXPECT_EQ(written, "a0b1p1z1c2");
}

TEST(VirtualExecutor, WorkThatNeverEndsIsCutOff) {
  VirtualExecutor executor;
  size_t rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    executor.after(kSecond, again);
  };
  again();
  EXPECT_FALSE(executor.run_until_idle(100));
  EXPECT_EQ(rounds, 101u);
}

TEST(Lifeline, NothingRunsOnceItsObjectIsGone) {
  VirtualExecutor executor;
  std::string written;
  auto lifeline = std::make_unique<Lifeline>();
  const auto here = lifeline->guard([&](int number) { written += std::to_string(number); });
  const auto anywhere =
      lifeline->posting(executor, [&](const std::string& text) { written += text; });
  here(1);
  anywhere("a");
  EXPECT_EQ(written, "1");
  executor.run_until_idle(10);
  EXPECT_EQ(written, "1a");
  anywhere("b");  // is under way when the object goes
  lifeline.reset();
  here(2);
  anywhere("c");
  EXPECT_TRUE(executor.run_until_idle(10));
  EXPECT_EQ(written, "1a");
}

}  // namespace
}  // namespace kvasir
