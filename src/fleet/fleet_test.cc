#include "fleet/fleet.h"

#include <gtest/gtest.h>

#include <thread>

namespace kvasir {
namespace {

Fleet two_endpoints() {
  return Fleet({Endpoint{"a:1", "a", 1}, Endpoint{"b:2", "b", 2}});
}

TEST(Fleet, EndpointsKeepTheirOrderAndStartUnhealthyAndUnmeasured) {
  const Fleet fleet = two_endpoints();
  const auto snapshot = fleet.snapshot();
  ASSERT_EQ(fleet.size(), 2u);
  ASSERT_EQ(snapshot->endpoints.size(), 2u);
  EXPECT_EQ(snapshot->endpoints[0].endpoint.name, "a:1");
  EXPECT_EQ(snapshot->endpoints[1].endpoint.port, 2);
  EXPECT_FALSE(snapshot->endpoints[1].healthy);
  EXPECT_FALSE(snapshot->endpoints[1].kv_capacity_tokens.has_value());
}

TEST(Fleet, ChangesArePublishedAndOldSnapshotsStay) {
  Fleet fleet = two_endpoints();
  const auto before = fleet.snapshot();
  fleet.set_healthy(EndpointId(1), true);
  fleet.set_kv_capacity(EndpointId(1), 370'000);
  const auto after = fleet.snapshot();
  EXPECT_FALSE(before->endpoints[1].healthy);
  EXPECT_TRUE(after->endpoints[1].healthy);
  EXPECT_EQ(after->endpoints[1].kv_capacity_tokens, 370'000u);
  EXPECT_FALSE(after->endpoints[0].healthy);
  EXPECT_FALSE(after->endpoints[0].kv_capacity_tokens.has_value());
}

TEST(Fleet, AValueThatIsAlreadyThereIsNotPublishedAgain) {
  Fleet fleet = two_endpoints();
  fleet.set_healthy(EndpointId(0), true);
  fleet.set_kv_capacity(EndpointId(0), 0);
  const auto before = fleet.snapshot();
  fleet.set_healthy(EndpointId(0), true);
  fleet.set_kv_capacity(EndpointId(0), 0);
  EXPECT_EQ(before, fleet.snapshot());
}

TEST(Fleet, WritersOfDifferentEndpointsDoNotLoseEachOthersNews) {
  Fleet fleet = two_endpoints();
  std::thread first([&] {
    for (uint64_t i = 1; i <= 1000; ++i) fleet.set_kv_capacity(EndpointId(0), i);
  });
  std::thread second([&] {
    for (uint64_t i = 1; i <= 1000; ++i) fleet.set_kv_capacity(EndpointId(1), i);
  });
  first.join();
  second.join();
  EXPECT_EQ(fleet.snapshot()->endpoints[0].kv_capacity_tokens, 1000u);
  EXPECT_EQ(fleet.snapshot()->endpoints[1].kv_capacity_tokens, 1000u);
}

TEST(FleetDeathTest, AForeignEndpointIsAProgrammingError) {
  Fleet fleet = two_endpoints();
  EXPECT_DEATH(fleet.set_healthy(EndpointId(2), true), "belongs to this fleet");
}

}  // namespace
}  // namespace kvasir
