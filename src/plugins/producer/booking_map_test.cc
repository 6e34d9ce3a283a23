#include "plugins/producer/booking_map.h"

#include <gtest/gtest.h>

#include <unordered_map>

namespace kvasir {
namespace {

TEST(BookingMap, FindsWhatWasInsertedUntilItIsErased) {
  BookingMap<int> map;
  EXPECT_EQ(map.find(1), nullptr);
  map.insert(1, 10);
  ASSERT_NE(map.find(1), nullptr);
  EXPECT_EQ(*map.find(1), 10);
  EXPECT_EQ(map.find(0), nullptr);
  map.erase(1);
  EXPECT_EQ(map.find(1), nullptr);
  EXPECT_EQ(map.size(), 0u);
}

TEST(BookingMap, AgreesWithAStandardMapOnARandomHistory) {
  Random random(7);
  BookingMap<uint64_t> map;
  std::unordered_map<RequestId, uint64_t> oracle;
  for (int step = 0; step < 50'000; ++step) {
    const RequestId request = 1 + random.below(600);
    if (oracle.erase(request)) {
      map.erase(request);
    } else {
      oracle[request] = random.next();
      map.insert(request, oracle[request]);
    }
    const RequestId other = 1 + random.below(600);
    const uint64_t* found = map.find(other);
    ASSERT_EQ(found != nullptr, oracle.count(other) == 1);
    if (found) {
      ASSERT_EQ(*found, oracle[other]);
    }
    ASSERT_EQ(map.size(), oracle.size());
  }
}

TEST(BookingMapDeathTest, DoubleBookingsAndUnknownErasuresAreProgrammingErrors) {
  BookingMap<int> map;
  map.insert(5, 1);
  EXPECT_DEATH(map.insert(5, 2), "booked once");
  EXPECT_DEATH(map.insert(0, 2), "no request");
  EXPECT_DEATH(map.erase(6), "only a booked request");
}

}  // namespace
}  // namespace kvasir
