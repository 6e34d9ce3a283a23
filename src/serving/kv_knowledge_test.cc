#include "serving/kv_knowledge.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/big_endian.h"
#include "kvevents/event_publisher_fixture.h"
#include "serving/pool_probe.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

class SilentPoolProbe final : public PoolProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
};

bool wait_for(const std::function<bool()>& done) {
  for (int i = 0; i < 10'000; ++i) {
    if (done()) return true;
    zmq_poll(nullptr, 0, 1);
  }
  return false;
}

// What is said of an engine of whose three batches the second one was lost for good.
KvFreshness freshness_after_a_loss(KvGapPolicy gap) {
  EventPublisher publisher;
  SilentPoolProbe probe;
  KvKnowledgeOptions options;
  options.gap = gap;
  KvKnowledge knowledge(options, 4, probe);
  KvPlaces places;
  places.addresses.events = publisher.events();
  EXPECT_TRUE(knowledge.listen(places).ok());
  knowledge.joined(EndpointId{0}, {"pod", "127.0.0.1", 8000});
  const auto source = [&] {
    const KvStatistics now = knowledge.statistics();
    return now.feed->sources.empty() ? KvFeedSourceStatistics() : now.feed->sources[0];
  };
  EXPECT_TRUE(wait_for([&] {
    publisher.send({"topic", "no number", "x"});
    return source().errors[static_cast<size_t>(KvFeedOperation::kFrames)] > 0;
  })) << "the subscription does not reach the publisher";
  KvEventEncoder encoder;
  for (const uint64_t number : {0, 2}) {
    encoder.begin(1.5);
    publisher.send({"topic", big_endian_bytes(number), encoder.finish(0)});
  }
  EXPECT_TRUE(wait_for([&] { return source().batches == 2; }));
  EXPECT_EQ(source().lost_batches, 1u);
  wait_for([&] { return source().freshness != KvFreshness::kExact; });
  return source().freshness;
}

TEST(KvKnowledge, ALossForGoodIsTreatedAsTheOptionsSay) {
  EXPECT_EQ(freshness_after_a_loss(KvGapPolicy::kStale), KvFreshness::kStale);
  EXPECT_EQ(freshness_after_a_loss(KvGapPolicy::kForget), KvFreshness::kIncomplete);
}

}  // namespace
}  // namespace kvasir
