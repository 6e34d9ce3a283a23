#include "kvmanager/measures.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(Measures, HitRatesAreMeansOfWhatWasAsked) {
  HitRates rates;
  EXPECT_FALSE(rates.of_best());
  EXPECT_FALSE(rates.of(EndpointId{1}));
  rates.had(EndpointId{1}, 1);
  rates.had(EndpointId{1}, 0.5);
  rates.best_had(1);
  EXPECT_EQ(rates.of(EndpointId{1}), 0.75);
  EXPECT_EQ(rates.of_best(), 1.0);
  rates.forget(EndpointId{1});
  EXPECT_FALSE(rates.of(EndpointId{1}));
}

TEST(Measures, TheBlockAskedForLeastMakesRoom) {
  AskedBlocks asked(2);
  asked.ask("a", 1, 10);
  asked.ask("a", 1, 11);
  asked.ask("b", 2, 12);
  asked.ask("c", 3, 13);
  const auto by_count = asked.by_count();
  ASSERT_EQ(by_count.size(), 2u);
  EXPECT_EQ(by_count[0]->text, "a");
  EXPECT_EQ(by_count[0]->last, 11);
  EXPECT_EQ(by_count[1]->text, "c");
}

TEST(Measures, APodWhoseCountBeginsAgainIsWatchedAnew) {
  EvictionRates rates;
  const EndpointId pod{0};
  const auto at = [](int seconds) { return TimePoint(std::chrono::seconds(seconds)); };
  rates.sample(pod, 100, at(0));
  rates.sample(pod, 120, at(10));
  EXPECT_EQ(rates.of(pod), 2.0);
  rates.sample(pod, 5, at(20));
  EXPECT_FALSE(rates.of(pod));
}

}  // namespace
}  // namespace kvasir
