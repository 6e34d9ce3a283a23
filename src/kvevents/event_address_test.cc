#include "kvevents/event_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

using testing::HasSubstr;

struct AddressCase {
  const char* pattern;
  const char* host;
  uint16_t port;
  uint32_t rank;
  const char* address;  // or a part of the error
  bool good = true;
};

TEST(EventAddress, HostPortAndRankAreFilledIn) {
  const AddressCase cases[] = {
      {"tcp://HOST:5557", "10.0.0.1", 8000, 0, "tcp://10.0.0.1:5557"},
      {"tcp://HOST:5557", "10.0.0.1", 8000, 3, "tcp://10.0.0.1:5560"},
      {"tcp://HOST:5557", "worker.ns.svc", 8000, 0, "tcp://worker.ns.svc:5557"},
      {"tcp://HOST:5557", "fd00::1", 8000, 0, "tcp://[fd00::1]:5557"},
      {"tcp://HOST:5557", "[fd00::1]", 8000, 0, "tcp://[fd00::1]:5557"},
      {"tcp://HOST:PORT", "a", 8000, 1, "tcp://a:8001"},
      {"tcp://HOST:PORT", "PORT", 8000, 0, "tcp://PORT:8000"},
      {"tcp://events.HOST:1PORT", "a", 80, 0, "tcp://events.a:180"},
      {"ipc:///run/HOST.sock", "a", 80, 0, "ipc:///run/a.sock"},
      {"inproc://HOST", "a", 80, 2, "inproc://a_dp2"},
      {"tcp://HOST", "a", 80, 0, "no port", false},
      {"tcp://[::1]", "a", 80, 0, "no port", false},
      {"tcp://:5557", "a", 80, 0, "no host", false},
      {"tcp://HOST:5557", "", 80, 0, "no host", false},
      {"tcp://*:5557", "a", 80, 0, "* is where an engine listens", false},
      {"tcp://0.0.0.0:5557", "a", 80, 0, "0.0.0.0 is where an engine listens", false},
      {"tcp://[::]:5557", "a", 80, 0, "[::] is where an engine listens", false},
      {"tcp://::1:5557", "a", 80, 0, "in brackets", false},
      {"tcp://HOST:0", "a", 80, 0, "from 1 to 65535", false},
      {"tcp://HOST:65535", "a", 80, 1, "from 1 to 65535", false},
      {"tcp://HOST:99999999999", "a", 80, 0, "from 1 to 65535", false},
      {"tcp://HOST:5557x", "a", 80, 0, "from 1 to 65535", false},
      {"tcp://HOST:", "a", 80, 0, "from 1 to 65535", false},
      {"http://HOST:5557", "a", 80, 0, "neither tcp:// nor ipc://", false},
      {"HOST:5557", "a", 80, 0, "neither tcp:// nor ipc://", false},
      {"", "a", 80, 0, "neither tcp:// nor ipc://", false},
      {"tcp://HOST:5557 ", "a", 80, 0, "a space", false},
      {"ipc://", "a", 80, 0, "no name", false},
  };
  for (const AddressCase& of : cases) {
    const auto address = event_address(of.pattern, {"", of.host, of.port}, of.rank);
    ASSERT_EQ(address.ok(), of.good) << of.pattern;
    if (of.good) {
      EXPECT_EQ(*address, of.address);
    } else {
      EXPECT_THAT(address.error().message, HasSubstr(of.address)) << of.pattern;
    }
  }
}

TEST(PublishingAddress, EachRankHasItsOwnPort) {
  EXPECT_EQ(*publishing_address("tcp://*:5557", 0), "tcp://*:5557");
  EXPECT_EQ(*publishing_address("tcp://*:5557", 3), "tcp://*:5560");
  EXPECT_EQ(*publishing_address("inproc://x", 3), "inproc://x_dp3");
  EXPECT_EQ(*publishing_address("", 3), "");
  EXPECT_FALSE(publishing_address("ipc:///tmp/x", 3).ok());
  EXPECT_FALSE(publishing_address("tcp://*:65535", 3).ok());
}

TEST(PublishingAddress, APortIsOneOfThoseThatThereAre) {
  for (const char* good : {"tcp://*:1", "tcp://*:65535", "tcp://127.0.0.1:*", "tcp://[::]:0"}) {
    EXPECT_EQ(publishing_address(good, 0).value(), good);
  }
  for (const char* wrong : {"tcp://*:65536", "tcp://*:99999", "tcp://[::]:99999999999",
                            "tcp://*:5557x", "tcp://*:-1", "tcp://*:", "tcp://*"}) {
    const Result<std::string> address = publishing_address(wrong, 0);
    ASSERT_FALSE(address.ok()) << wrong;
    EXPECT_THAT(address.error().message, HasSubstr(wrong));
    EXPECT_THAT(address.error().message, HasSubstr("from 1 to 65535"));
  }
  EXPECT_FALSE(publishing_address("tcp://*:1", UINT32_MAX).ok());
}

TEST(EventAddress, OfOursSaysWhatIsWrongWithIt) {
  for (const char* good : {"tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://eth0:*",
                           "tcp://*:0", "ipc:///run/kv", "ipc://@kv"}) {
    EXPECT_TRUE(check_bind_address(good)) << good;
  }
  const std::pair<const char*, const char*> cases[] = {
      {"", "must begin with tcp:// or ipc://"},
      {"*:5555", "must begin with tcp:// or ipc://"},
      {"tcp://", "needs a port"},
      {"tcp://*", "needs a port"},
      {"tcp://[::]", "needs a port"},
      {"tcp://:5555", "needs a host"},
      {"tcp://*:", "from 1 to 65535"},
      {"tcp://*:65536", "from 1 to 65535"},
      {"tcp://*:PORT", "from 1 to 65535"},
      {"tcp://*: 5555", "a space"},
      {"ipc://", "needs a name"},
      {"http://*:5555", "must begin with tcp:// or ipc://"},
  };
  for (const auto& [address, why] : cases) {
    const Result<void> checked = check_bind_address(address);
    ASSERT_FALSE(checked) << address;
    EXPECT_NE(checked.error().message.find(why), std::string::npos) << checked.error().message;
  }
}

// ZeroMQ says so first when it is used.
TEST(EventAddress, AnIpcPathIsNoLongerThanASocketsMayBe) {
  const std::string longest = "ipc://" + std::string(107, 'p');
  EXPECT_TRUE(check_bind_address(longest));
  EXPECT_TRUE(check_event_pattern(longest));
  for (const Result<void>& refused :
       {check_bind_address(longest + "p"), check_event_pattern(longest + "p")}) {
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("more than 107 bytes"), std::string::npos);
  }
  EXPECT_FALSE(event_address(longest, Endpoint{}, 1)) << "_dp1 is part of it";
}

struct TopicCase {
  const char* topic;
  const char* pod;
  int port;  // 0: none
  const char* model;
};

TEST(EventTopic, SaysWhoPublishes) {
  const TopicCase cases[] = {
      {"kv@10.0.0.1:8000@m", "10.0.0.1", 8000, "m"},
      {"kv@pod-1@org/model", "pod-1", 0, "org/model"},
      {"kv@pod-1@org/model@v2", "pod-1", 0, "org/model@v2"},
      {"kv@[fd00::1]:8000@m", "fd00::1", 8000, "m"},
      {"kv@fd00::1@m", "fd00::1", 0, "m"},
      {"kv@[fd00::1]@m", "fd00::1", 0, "m"},
      {"kv@pod:x@m", "pod:x", 0, "m"},
      {"kv@pod:70000@m", "pod:70000", 0, "m"},
      {"kv@@m", "", 0, "m"},
      {"kv-events", "kv-events", 0, ""},
      {"kv@pod", "kv@pod", 0, ""},
      {"", "", 0, ""},
  };
  for (const TopicCase& of : cases) {
    const EventTopic read = read_event_topic(of.topic);
    EXPECT_EQ(read.pod, of.pod) << of.topic;
    EXPECT_EQ(read.port.value_or(0), of.port) << of.topic;
    EXPECT_EQ(read.model, of.model) << of.topic;
  }
}

TEST(EventAddress, PortsOfRanksAreApart) {
  const auto overlap = [](const char* events, const char* replay, uint32_t ranks) {
    const Result<void> apart = check_rank_ports(events, replay, ranks);
    return apart ? std::string() : apart.error().message;
  };
  EXPECT_THAT(overlap("tcp://HOST:5557", "tcp://HOST:5558", 2),
              HasSubstr("with 2 ranks the ports of replays, 5558 to 5559, overlap those of events, "
                        "5557 to 5558"));
  EXPECT_THAT(overlap("tcp://a:1PORT", "tcp://a:18003", 4), HasSubstr("18003 to 18006"));
  EXPECT_THAT(overlap("tcp://a:5560", "tcp://a:5557", 4), HasSubstr("at least 4 ports away"));
  EXPECT_EQ(overlap("tcp://HOST:5557", "tcp://HOST:5558", 1), "");
  EXPECT_EQ(overlap("tcp://HOST:5557", "tcp://HOST:5559", 2), "");
  EXPECT_EQ(overlap("tcp://a:5557", "tcp://b:5558", 8), "");
  EXPECT_EQ(overlap("ipc:///a", "ipc:///b", 8), "");
  EXPECT_EQ(overlap("tcp://a:5557", "", 8), "");
}

TEST(EventAddress, APatternThatNamesNoHostIsToldOfTheWordForIt) {
  const Result<void> checked = check_event_pattern("tcp://*:5557");
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("HOST stands for that of each"));
}

}  // namespace
}  // namespace kvasir
