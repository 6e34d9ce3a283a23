#include "fleet/outlier_ejection.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::seconds;

class OutlierEjectionTest : public ::testing::Test {
 protected:
  OutlierEjectionTest() {
    for (const char* name : {"a", "b", "c", "d"}) fleet_.add(Endpoint{name, "10.0.0.1", 1});
  }
  static EjectionOptions options() {
    EjectionOptions options;
    options.failures_in_a_row = 3;
    return options;
  }
  void fail(uint32_t slot, int times) {
    for (int i = 0; i < times; ++i) ejection_.failed(EndpointId(slot));
  }
  bool is_out(uint32_t slot) const { return fleet_.snapshot()->endpoints[slot].ejected; }
  void pass(seconds time) {
    clock_.advance(time);
    ejection_.release_due();
  }

  Fleet fleet_{5};
  ManualClock clock_;
  OutlierEjection ejection_{fleet_, clock_, options()};
};

TEST_F(OutlierEjectionTest, OnlyFailuresInARowEject) {
  fail(0, 2);
  ejection_.succeeded(EndpointId(0));
  fail(0, 2);
  EXPECT_FALSE(is_out(0));
  fail(0, 1);
  EXPECT_TRUE(is_out(0));
}

TEST_F(OutlierEjectionTest, ItComesBackAfterAWhileAndStaysOutLongerTheNextTime) {
  fail(0, 3);
  pass(seconds(29));
  EXPECT_TRUE(is_out(0));
  pass(seconds(1));
  EXPECT_FALSE(is_out(0));
  fail(0, 3);
  pass(seconds(59));
  EXPECT_TRUE(is_out(0));
  pass(seconds(1));
  EXPECT_FALSE(is_out(0));
  pass(seconds(60));  // behaves for as long as it was out
  fail(0, 3);
  pass(seconds(30));
  EXPECT_FALSE(is_out(0));
}

TEST_F(OutlierEjectionTest, NeverMoreThanAShareIsOut) {
  for (uint32_t slot = 0; slot < 4; ++slot) fail(slot, 10);
  EXPECT_TRUE(is_out(0) && is_out(1));
  EXPECT_FALSE(is_out(2) || is_out(3));
}

TEST_F(OutlierEjectionTest, TheLastEndpointStays) {
  for (uint32_t slot = 0; slot < 3; ++slot) fleet_.remove(EndpointId(slot));
  fail(3, 10);
  EXPECT_FALSE(is_out(3));
}

TEST_F(OutlierEjectionTest, ANewOwnerOfTheSlotBeginsAnew) {
  fail(0, 3);
  fleet_.remove(EndpointId(0));
  fleet_.add(Endpoint{"e", "10.0.0.5", 1});  // takes the slot that was never used
  fleet_.add(Endpoint{"f", "10.0.0.6", 1});
  EXPECT_EQ(fleet_.snapshot()->endpoints[0].endpoint->name, "f");
  EXPECT_FALSE(is_out(0));
  fail(0, 3);
  EXPECT_TRUE(is_out(0));
  pass(seconds(30));
  EXPECT_FALSE(is_out(0)) << "the first time, for this one";
}

}  // namespace
}  // namespace kvasir
