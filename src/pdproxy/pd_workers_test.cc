#include "pdproxy/pd_workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::IsEmpty;
using Heard = PdWorkers::Heard;

class PdWorkersTest : public ::testing::Test {
 protected:
  PdWorkersTest() {
    options_.backend = PdBackend::kP2p;
    options_.registered_max = 3;
  }
  static P2pRegistration worker(P2pRole role, int port) {
    return {role, "10.0.0.1:" + std::to_string(port), "10.0.0.1:" + std::to_string(port + 1000)};
  }
  // The ports of the candidates, in order; the booking ends at once.
  std::vector<int> order(PdWorkers& workers, P2pRole role = P2pRole::kPrefill) const {
    std::vector<int> ports;
    for (const PdWorkerRef& each : workers.candidates(role, 16, now_).workers) {
      ports.push_back(each->address.port);
    }
    return ports;
  }

  PdProxyOptions options_;
  TimePoint now_ = TimePoint(std::chrono::hours(1));
};

TEST_F(PdWorkersTest, OneThatRegistersStaysForThreeMissedPings) {
  PdWorkers workers(options_);
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 1), now_), Heard::kNew);
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 1), now_), Heard::kAgain);
  EXPECT_THAT(order(workers), ElementsAre(1));
  EXPECT_THAT(order(workers, P2pRole::kDecode), IsEmpty());
  now_ += std::chrono::seconds(9);
  EXPECT_THAT(workers.expire(now_), IsEmpty());
  EXPECT_THAT(order(workers), ElementsAre(1));
  workers.hear(worker(P2pRole::kPrefill, 1), now_);
  now_ += std::chrono::milliseconds(9'999);
  EXPECT_THAT(workers.expire(now_), IsEmpty());
  now_ += std::chrono::milliseconds(1);
  EXPECT_THAT(order(workers), IsEmpty()) << "also before it is taken away";
  EXPECT_EQ(workers.expire(now_).size(), 1u);
  EXPECT_THAT(workers.list(), IsEmpty());
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 1), now_), Heard::kNew);
}

TEST_F(PdWorkersTest, TheTableIsBounded) {
  PdWorkers workers(options_);
  for (int port = 1; port <= 3; ++port) workers.hear(worker(P2pRole::kPrefill, port), now_);
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 4), now_), Heard::kFull);
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 2), now_), Heard::kAgain);
  EXPECT_EQ(workers.hear(worker(P2pRole::kDecode, 4), now_), Heard::kNew);
  now_ += options_.registration_ttl;
  workers.expire(now_);
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 4), now_), Heard::kNew);
}

TEST_F(PdWorkersTest, AnAddressThatIsNoneIsRefused) {
  PdWorkers workers(options_);
  for (const char* address : {"a", "a:0", "a:99999", "user@a:1", "a:1/x", "https://a:1", "",
                              "a\r\nX-Evil: b:1", "a b:1"}) {
    EXPECT_EQ(workers.hear({P2pRole::kPrefill, address, "a:1"}, now_), Heard::kMalformed);
    EXPECT_EQ(workers.hear({P2pRole::kPrefill, "a:1", address}, now_), Heard::kMalformed);
  }
  EXPECT_THAT(workers.list(), IsEmpty());
}

TEST_F(PdWorkersTest, TheLeastBusyComesFirstAndEqualOnesInTurn) {
  options_.prefill = {{{"10.0.0.1", 1}, "a:1"}, {{"10.0.0.1", 2}, "a:2"}, {{"10.0.0.1", 3}, "a:3"}};
  options_.decode = {{{"10.0.0.1", 4}, "b:1"}, {{"10.0.0.1", 5}, "b:2"}};
  PdWorkers workers(options_);
  EXPECT_THAT(order(workers), ElementsAre(1, 2, 3));
  EXPECT_THAT(order(workers), ElementsAre(2, 3, 1));
  EXPECT_THAT(order(workers, P2pRole::kDecode), ElementsAre(4, 5)) << "has turns of its own";
  EXPECT_THAT(order(workers), ElementsAre(3, 1, 2));
  const PdCandidates held = workers.candidates(P2pRole::kPrefill, 16, now_);
  EXPECT_EQ(held.workers.front()->address.port, 1);
  EXPECT_EQ(held.workers.front()->legs, 1u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(order(workers).back(), 1) << "it is busy";
  EXPECT_EQ(workers.candidates(P2pRole::kPrefill, 2, now_).workers.size(), 2u);
}

TEST_F(PdWorkersTest, OneThatFailedIsAskedLastForAWhile) {
  options_.prefill = {{{"10.0.0.1", 1}, "a:1"}, {{"10.0.0.1", 2}, "a:2"}};
  options_.decode = {{{"10.0.0.1", 4}, "b:1"}};
  PdWorkers workers(options_);
  const PdWorkerRef failed = workers.list().front().worker;
  failed->failed(now_, options_.avoid_for);
  for (int i = 0; i < 3; ++i) EXPECT_THAT(order(workers), ElementsAre(2, 1));
  now_ += options_.avoid_for;
  EXPECT_THAT(order(workers), ElementsAre(1, 2));
  failed->failed(now_, options_.avoid_for);
  failed->answered();
  EXPECT_FALSE(failed->is_avoided(now_));
}

// Given by its URL alone, and its socket becomes known when it registers.
TEST_F(PdWorkersTest, ANamedOneMayLearnItsSocketByRegistering) {
  options_.prefill = {{{"10.0.0.1", 1}, ""}};
  options_.decode = {{{"10.0.0.1", 2}, "d:7"}};
  PdWorkers workers(options_);
  EXPECT_THAT(order(workers), IsEmpty());
  EXPECT_EQ(workers.hear(worker(P2pRole::kPrefill, 1), now_), Heard::kNew);
  EXPECT_EQ(workers.candidates(P2pRole::kPrefill, 1, now_).workers.front()->name, "10.0.0.1:1001");
  workers.hear(worker(P2pRole::kDecode, 2), now_);
  EXPECT_EQ(workers.candidates(P2pRole::kDecode, 1, now_).workers.front()->name, "d:7")
      << "what was given by name stays";
  now_ += std::chrono::hours(1);
  workers.expire(now_);
  EXPECT_EQ(workers.list().size(), 2u) << "named ones never go";
}

// Of a worker whose socket nobody knows it is said which flag, variable or port would tell.
TEST_F(PdWorkersTest, WhyThereIsNoneNamesWhatIsMissing) {
  options_.prefill = {{{"10.0.0.1", 1}, ""}, {{"10.0.0.2", 1}, ""}};
  options_.registration_port = 30001;
  PdWorkers workers(options_);
  EXPECT_EQ(workers.why_none(P2pRole::kPrefill),
            "there is no prefill worker: 10.0.0.1:1, 10.0.0.2:1 is named without its ZeroMQ socket "
            "(--prefill-name, PREFILL_ZMQ), and none has registered lately on port 30001");
  EXPECT_EQ(workers.why_none(P2pRole::kDecode),
            "there is no decode worker: none is named (--decode, DECODE_URL), and none has "
            "registered lately on port 30001");
}

}  // namespace
}  // namespace kvasir
