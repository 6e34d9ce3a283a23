#include "wire/replica_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <protozero/pbf_writer.hpp>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using Limits = ReplicaMessageLimits;

ReplicaMessage example() {
  ReplicaMessage message;
  message.origin = 0x1234567890abcdef;
  message.sequence = 300;
  message.endpoints = {"10.0.0.1:8000", "10.0.0.2:8000"};
  message.plugins.push_back({"inflight-load-producer", {{0, 20, 4096}, {1, 1, 0}}, {}});
  message.plugins.push_back({"sessions", {}, {{1, 0xfeed, 1500}, {0, 7, 0}}});
  return message;
}

std::string error_of(const ReplicaMessage& message) {
  const auto read = read_replica_message(write_replica_message(message));
  return read ? "" : read.error().message;
}

TEST(ReplicaMessage, IsReadAsItWasWritten) {
  const auto read = read_replica_message(write_replica_message(example()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, example());
}

TEST(ReplicaMessage, AnIdleReplicaTakesAFewBytes) {
  ReplicaMessage message;
  message.origin = 1;
  EXPECT_LT(write_replica_message(message).size(), 20u);
  EXPECT_EQ(error_of(message), "");
}

TEST(ReplicaMessage, UnknownFieldsAreSkipped) {
  std::string bytes = write_replica_message(example());
  protozero::pbf_writer writer(bytes);
  writer.add_string(99, "of a later minor change");
  const auto read = read_replica_message(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, example());
}

TEST(ReplicaMessage, AnotherVersionAndNoVersionAreRefused) {
  std::string other = write_replica_message(example());
  other[1] = 2;  // the low byte of the fixed32 behind its tag
  const auto read = read_replica_message(other);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("version"));

  std::string none;
  protozero::pbf_writer(none).add_fixed64(2, 77);
  EXPECT_FALSE(read_replica_message(none));
}

TEST(ReplicaMessage, WhatIsBeyondALimitIsRefused) {
  struct Case {
    const char* name;
    const char* error;
    void (*spoil)(ReplicaMessage&);
  };
  const Case cases[] = {
      {"no origin", "no origin", [](ReplicaMessage& m) { m.origin = 0; }},
      {"a load of nobody", "not listed",
       [](ReplicaMessage& m) { m.plugins[0].loads[0].endpoint = 2; }},
      {"a far place", "not listed",
       [](ReplicaMessage& m) { m.plugins[0].loads[0].endpoint = UINT32_MAX; }},
      {"a binding to nobody", "not listed",
       [](ReplicaMessage& m) { m.plugins[1].bindings[0].endpoint = 2; }},
      {"a load twice", "twice", [](ReplicaMessage& m) { m.plugins[0].loads[1].endpoint = 0; }},
      {"requests", "requests",
       [](ReplicaMessage& m) { m.plugins[0].loads[0].requests = Limits::kRequests + 1; }},
      {"tokens", "tokens",
       [](ReplicaMessage& m) { m.plugins[0].loads[0].tokens = Limits::kTokens + 1; }},
      {"endpoints", "too many endpoints",
       [](ReplicaMessage& m) { m.endpoints.resize(Limits::kEndpoints + 1); }},
      {"endpoint name", "too long",
       [](ReplicaMessage& m) { m.endpoints[0].assign(Limits::kEndpointNameBytes + 1, 'x'); }},
      {"plugins", "too many plugins",
       [](ReplicaMessage& m) { m.plugins.resize(Limits::kPlugins + 1); }},
      {"plugin name", "too long",
       [](ReplicaMessage& m) { m.plugins[0].name.assign(Limits::kPluginNameBytes + 1, 'x'); }},
      {"sessions", "too many sessions",
       [](ReplicaMessage& m) { m.plugins[1].bindings.resize(Limits::kBindings + 1); }},
      {"all of it", "too large",
       [](ReplicaMessage& m) {
         m.endpoints.assign(Limits::kEndpoints + 1, std::string(Limits::kEndpointNameBytes, 'x'));
       }},
  };
  for (const Case& spoiled : cases) {
    ReplicaMessage message = example();
    spoiled.spoil(message);
    EXPECT_THAT(error_of(message), HasSubstr(spoiled.error)) << spoiled.name;
  }
}

TEST(ReplicaMessage, WhatIsJustInsideTheLimitsIsRead) {
  ReplicaMessage message = example();
  message.endpoints.resize(Limits::kEndpoints);
  message.endpoints[0].assign(Limits::kEndpointNameBytes, 'x');
  message.plugins[0].loads[0].requests = Limits::kRequests;
  message.plugins[0].loads[0].tokens = Limits::kTokens;
  message.plugins[1].bindings.resize(Limits::kBindings);
  message.plugins.resize(Limits::kPlugins);
  EXPECT_EQ(error_of(message), "");
}

TEST(ReplicaMessage, CutAndSpoiledBytesNeverReadAsSomethingElse) {
  const std::string whole = write_replica_message(example());
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto read = read_replica_message(std::string_view(whole).substr(0, size));
    EXPECT_FALSE(read && *read == example()) << size;
  }
  EXPECT_FALSE(read_replica_message(""));
  EXPECT_FALSE(read_replica_message("\xff\xff\xff"));
  EXPECT_FALSE(read_replica_message("GET / HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace kvasir
