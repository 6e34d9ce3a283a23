#include "fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "base/random.h"

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
  EXPECT_EQ(snapshot->endpoints[0].endpoint->name, "a:1");
  EXPECT_EQ(snapshot->endpoints[1].endpoint->port, 2);
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

Endpoint named(const std::string& name) {
  return Endpoint{name, "10.0.0.1", 8000};
}
Endpoint labelled(const std::string& name, const std::string& value) {
  return Endpoint{name, "10.0.0.1", 8000, {{"zone", value}}};
}
EndpointId id(uint32_t slot) {
  return EndpointId(slot);
}
const EndpointState& state(const Fleet& fleet, uint32_t slot) {
  static std::shared_ptr<const Snapshot> kept;
  kept = fleet.snapshot();
  return kept->endpoints[slot];
}

TEST(FleetMembership, SlotsAreFilledInOrderUntilNoneIsLeft) {
  Fleet fleet(2);
  EXPECT_FALSE(state(fleet, 0).present);
  EXPECT_EQ(fleet.add(named("a")), id(0));
  EXPECT_EQ(fleet.add(named("b")), id(1));
  EXPECT_EQ(fleet.add(named("c")), std::nullopt);
  EXPECT_EQ(fleet.size(), 2u);
  EXPECT_TRUE(state(fleet, 1).present);
}

TEST(FleetMembership, ANameBelongsToOneAddress) {
  Fleet fleet(2);
  fleet.add(named("a"));
  EXPECT_EQ(fleet.add(Endpoint{"a", "10.0.0.2", 8000}), std::nullopt);
  EXPECT_EQ(fleet.add(named("a")), id(0)) << "the same endpoint keeps its slot";
}

TEST(FleetMembership, TheSlotThatIsFreeForLongestIsTakenFirst) {
  Fleet fleet(3);
  for (const char* name : {"a", "b", "c"}) fleet.add(named(name));
  fleet.remove(id(2));
  fleet.remove(id(0));
  EXPECT_EQ(fleet.add(named("d")), id(2));
  EXPECT_EQ(fleet.add(named("e")), id(0));
}

TEST(FleetMembership, AnEndpointThatComesBackGetsItsOldSlotAndKeepsTheOwnership) {
  Fleet fleet(3);
  for (const char* name : {"a", "b", "c"}) fleet.add(named(name));
  const uint64_t owned_since = state(fleet, 1).owned_since;
  const uint64_t joined = state(fleet, 1).joined;
  fleet.remove(id(0));
  fleet.remove(id(1));
  EXPECT_EQ(fleet.add(named("b")), id(1));
  EXPECT_EQ(state(fleet, 1).owned_since, owned_since);
  EXPECT_GT(state(fleet, 1).joined, joined) << "feeds must begin anew";
  EXPECT_EQ(fleet.add(named("d")), id(0));
  EXPECT_GT(state(fleet, 0).owned_since, owned_since) << "this slot went to another";
}

TEST(FleetMembership, WhoeverLeavesTakesItsStateAlong) {
  Fleet fleet(1);
  fleet.add(named("a"));
  fleet.set_healthy(id(0), true);
  fleet.set_ejected(id(0), true);
  fleet.set_kv_capacity(id(0), 7);
  fleet.remove(id(0));
  fleet.set_healthy(id(0), true);  // news that came too late
  EXPECT_FALSE(state(fleet, 0).healthy);
  fleet.add(named("b"));
  EXPECT_FALSE(state(fleet, 0).healthy || state(fleet, 0).ejected);
  EXPECT_FALSE(state(fleet, 0).kv_capacity_tokens.has_value());
}

TEST(FleetMembership, AFullListReplacesTheFleetAndLeavesWhatStays) {
  Fleet fleet(3);
  fleet.replace_all({named("a"), named("b"), named("c")});
  fleet.set_healthy(id(1), true);
  const MembershipChange change = fleet.replace_all({named("d"), named("b")});
  EXPECT_THAT(change.removed, ::testing::ElementsAre(id(0), id(2)));
  EXPECT_THAT(change.added, ::testing::ElementsAre(id(0)));
  EXPECT_TRUE(change.refused.empty());
  EXPECT_TRUE(state(fleet, 1).healthy);
  EXPECT_EQ(state(fleet, 0).endpoint->name, "d");
  EXPECT_FALSE(state(fleet, 2).present);
}

TEST(FleetMembership, AListThatChangesNothingPublishesNothing) {
  Fleet fleet(2);
  fleet.replace_all({named("a"), named("b")});
  const auto before = fleet.snapshot();
  fleet.replace_all({named("b"), named("a")});
  EXPECT_EQ(fleet.snapshot(), before);
}

TEST(FleetMembership, LabelsChangeInPlace) {
  Fleet fleet(1);
  fleet.replace_all({labelled("a", "x")});
  fleet.set_healthy(id(0), true);
  const uint64_t before = fleet.snapshot()->generation;
  const MembershipChange change = fleet.replace_all({labelled("a", "y")});
  EXPECT_TRUE(change.added.empty() && change.removed.empty());
  EXPECT_EQ(*state(fleet, 0).endpoint->label("zone"), "y");
  EXPECT_TRUE(state(fleet, 0).healthy);
  EXPECT_GT(fleet.snapshot()->generation, before);
}

TEST(FleetMembership, TooManyAndDoubleOnesAreRefusedByName) {
  Fleet fleet(2);
  const MembershipChange change =
      fleet.replace_all({named("a"), named("a"), named("b"), named("c")});
  ASSERT_EQ(change.refused.size(), 2u);
  EXPECT_EQ(change.refused[0].name, "a");
  EXPECT_EQ(change.refused[1].name, "c");
}

TEST(FleetMembership, ANewAddressUnderAnOldNameIsAnotherEndpoint) {
  Fleet fleet(1);
  fleet.replace_all({named("a")});
  const uint64_t owned_since = state(fleet, 0).owned_since;
  const MembershipChange change = fleet.replace_all({Endpoint{"a", "10.0.0.2", 8000}});
  EXPECT_EQ(change.removed.size(), 1u);
  EXPECT_EQ(change.added.size(), 1u);
  EXPECT_NE(state(fleet, 0).owned_since, owned_since);
}

TEST(FleetMembership, TenThousandComeAndGoAndComeBackToTheirSlots) {
  constexpr size_t kMany = 10'000;
  std::vector<Endpoint> all;
  for (size_t i = 0; i < kMany; ++i) all.push_back(named("e" + std::to_string(i)));
  Fleet fleet(kMany);
  EXPECT_EQ(fleet.replace_all(all).added.size(), kMany);
  EXPECT_EQ(fleet.replace_all({}).removed.size(), kMany);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(fleet.replace_all(all).added.size(), kMany);
  for (uint32_t i = 0; i < kMany; i += 999) {
    EXPECT_EQ(state(fleet, i).endpoint->name, "e" + std::to_string(i));
  }
}

// The slot that is free for longest goes first, whoever had it, and its old owner finds another.
TEST(FleetMembership, AnOwnerWhoseSlotWasGivenAwayGetsAnother) {
  Fleet fleet(2);
  fleet.replace_all({named("a"), named("b")});
  fleet.replace_all({});
  fleet.add(named("c"));  // a's
  EXPECT_EQ(state(fleet, 0).endpoint->name, "c");
  EXPECT_EQ(fleet.add(named("b")), id(1));
  fleet.remove(id(0));
  EXPECT_EQ(fleet.add(named("a")), id(0));
  fleet.remove(id(0));
  EXPECT_EQ(fleet.add(named("c")), id(0));
}

size_t slots_used(const Fleet& fleet) {
  const auto snapshot = fleet.snapshot();
  return static_cast<size_t>(
      std::count_if(snapshot->endpoints.begin(), snapshot->endpoints.end(),
                    [](const EndpointState& slot) { return !slot.endpoint->name.empty(); }));
}
// `count` pods, whose names begin alike.
std::vector<Endpoint> pods(const std::string& name, size_t count) {
  std::vector<Endpoint> all;
  for (size_t i = 0; i < count; ++i) all.push_back(named(name + std::to_string(i)));
  return all;
}
// One after the other: the new pod comes, then the old one goes.
void roll(Fleet& fleet, std::vector<Endpoint> pods, const std::vector<Endpoint>& others) {
  for (size_t i = 0; i < pods.size(); ++i) {
    pods.push_back(others[i]);
    fleet.replace_all(pods);
    std::swap(pods[i], pods.back());
    pods.pop_back();
    fleet.replace_all(pods);
  }
}
std::vector<std::string> present_by_slot(const Fleet& fleet) {
  std::vector<std::string> names;
  for (const EndpointState& slot : fleet.snapshot()->endpoints) {
    if (slot.present) names.push_back(slot.endpoint->name);
  }
  return names;
}

// What others keep by slot must not grow with every pod that ever was.
TEST(FleetMembership, FortyReplacementsOfOnePodUseFewSlots) {
  Fleet fleet(1024);
  for (const Endpoint& pod : pods("p", 41)) fleet.replace_all({pod});
  EXPECT_LE(slots_used(fleet), 1 + Fleet::kDepartedMin + 1);
  for (const Endpoint& pod : pods("q", 40)) {
    const std::optional<EndpointId> surge = fleet.add(pod);
    fleet.remove(*surge);
  }
  EXPECT_LE(slots_used(fleet), 1 + Fleet::kDepartedMin + 1);
}

TEST(FleetMembership, AfterManyReplacementsAPodThatReturnsAtOnceGetsItsOldSlot) {
  Fleet fleet(1024);
  for (const Endpoint& pod : pods("p", 41)) fleet.replace_all({pod});
  const EndpointId old = *fleet.add(named("p40"));
  const uint64_t owned_since = state(fleet, index_of(old)).owned_since;
  fleet.replace_all({});
  EXPECT_EQ(fleet.add(named("p40")), old);
  EXPECT_EQ(state(fleet, index_of(old)).owned_since, owned_since);
}

TEST(FleetMembership, ARollingUpdateOfTenPodsAndBackFindsAllSlotsAgain) {
  const std::vector<Endpoint> blue = pods("blue", 10);
  const std::vector<Endpoint> green = pods("green", 10);
  Fleet fleet(1024);
  fleet.replace_all(blue);
  const std::vector<std::string> before = present_by_slot(fleet);
  const uint64_t owned_since = state(fleet, 9).owned_since;
  roll(fleet, blue, green);
  EXPECT_EQ(slots_used(fleet), 20u);
  roll(fleet, green, blue);
  EXPECT_EQ(present_by_slot(fleet), before);
  EXPECT_EQ(state(fleet, 9).owned_since, owned_since);
  fleet.replace_all(green);  // all at once
  fleet.replace_all(blue);
  EXPECT_EQ(present_by_slot(fleet), before);
  EXPECT_EQ(slots_used(fleet), 20u);
}

TEST(FleetMembership, ANewcomerInTheSameListTakesNoSlotOfOneThatReturns) {
  Fleet fleet(1024);
  fleet.replace_all(pods("p", 20));
  fleet.replace_all({});
  fleet.replace_all({named("new"), named("p0")});
  EXPECT_EQ(state(fleet, 0).endpoint->name, "p0");
  EXPECT_EQ(state(fleet, 1).endpoint->name, "new");
}

TEST(FleetDeathTest, AForeignEndpointIsAProgrammingError) {
  Fleet fleet = two_endpoints();
  EXPECT_DEATH(fleet.set_healthy(EndpointId(2), true), "belongs to this fleet");
}

TEST(Fleet, AChangeOfSomeLeavesTheOthersAsTheyAre) {
  Fleet fleet(3);
  fleet.replace_all({named("a"), labelled("b", "x")});
  fleet.set_healthy(EndpointId(0), true);
  const MembershipChange change = fleet.apply({{named("c"), labelled("b", "y")}, {"nobody"}});
  EXPECT_EQ(change.added, std::vector{EndpointId(2)});
  EXPECT_TRUE(change.removed.empty() && change.refused.empty());
  auto now = fleet.snapshot();
  EXPECT_TRUE(now->endpoints[0].healthy);
  EXPECT_EQ(now->endpoints[1].endpoint->labels, labelled("b", "y").labels);
  const MembershipChange moved = fleet.apply({{Endpoint{"a", "10.0.0.2", 8000}}, {"b"}});
  EXPECT_EQ(moved.removed, (std::vector{EndpointId(0), EndpointId(1)}));
  EXPECT_EQ(moved.added.size(), 1u);
  EXPECT_EQ(fleet.apply({{named("x"), named("y"), named("z")}, {}}).refused.size(), 2u);
  const auto before = fleet.snapshot();
  EXPECT_TRUE(fleet.apply({{named("c")}, {"nobody"}}).added.empty());
  EXPECT_EQ(fleet.snapshot(), before) << "nothing changed";
}

// Whoever gives changes and whoever gives the whole list each time have the same fleet.
TEST(Fleet, ChangesOfSomeComeToTheSameAsWholeLists) {
  constexpr uint64_t kNames = 20;
  Random random(11);
  Fleet by_change(12);
  Fleet by_list(12);
  std::map<std::string, Endpoint> all;
  for (int round = 0; round < 500; ++round) {
    EndpointChanges changes;
    std::set<std::string> named_already;
    for (uint64_t i = random.below(4); i > 0; --i) {
      const std::string name = "p" + std::to_string(random.below(kNames));
      if (!named_already.insert(name).second) continue;
      const bool full = all.size() == by_list.size() && !all.contains(name);
      if (full || random.below(3) == 0) {
        all.erase(name);
        changes.removed.push_back(name);
      } else {
        Endpoint endpoint = labelled(name, std::to_string(random.below(3)));
        endpoint.host = "10.0.0." + std::to_string(random.below(3));
        all[name] = endpoint;
        changes.put.push_back(endpoint);
      }
    }
    std::vector<Endpoint> list;
    for (const auto& [name, endpoint] : all) list.push_back(endpoint);
    by_list.replace_all(list);
    by_change.apply(changes);
    const auto texts = [](const Fleet& fleet) {
      std::set<std::string> found;
      for (const EndpointState& state : fleet.snapshot()->endpoints) {
        if (!state.present) continue;
        std::string text = state.endpoint->name + " " + state.endpoint->host;
        for (const auto& [key, value] : state.endpoint->labels) text += " " + key + "=" + value;
        found.insert(text);
      }
      return found;
    };
    ASSERT_EQ(texts(by_change), texts(by_list)) << "round " << round;
  }
}

}  // namespace
}  // namespace kvasir
