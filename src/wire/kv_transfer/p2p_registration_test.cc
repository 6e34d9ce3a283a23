#include "wire/kv_transfer/p2p_registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::string packed(const nlohmann::json& value) {
  const std::vector<uint8_t> bytes = nlohmann::json::to_msgpack(value);
  return {bytes.begin(), bytes.end()};
}

const nlohmann::json kRegistration = {
    {"type", "P"}, {"http_address", "10.0.0.1:8000"}, {"zmq_address", "10.0.0.1:21001"}};

TEST(P2pRegistration, IsReadAsWorkersSendIt) {
  const P2pRegistration expected{P2pRole::kPrefill, "10.0.0.1:8000", "10.0.0.1:21001"};
  EXPECT_EQ(read_p2p_registration(packed(kRegistration)).value(), expected);
  EXPECT_EQ(read_p2p_registration(write_p2p_registration(expected)).value(), expected);
  nlohmann::json more = kRegistration;
  more["type"] = "D";
  more["transfer_mode"] = {{"deep", {1, 2, 3}}};
  EXPECT_EQ(read_p2p_registration(packed(more)).value().role, P2pRole::kDecode);
}

TEST(P2pRegistration, WhatIsWrongIsSaid) {
  const auto problem_of = [](const nlohmann::json& value) {
    const Result<P2pRegistration> read = read_p2p_registration(packed(value));
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(problem_of(7), HasSubstr("map"));
  EXPECT_THAT(problem_of(nlohmann::json::object()), HasSubstr("type"));
  for (const char* member : {"http_address", "zmq_address"}) {
    nlohmann::json changed = kRegistration;
    changed[member] = 7;
    EXPECT_THAT(problem_of(changed), HasSubstr(member));
    changed[member] = std::string(kP2pAddressBytesMax + 1, 'a');
    EXPECT_THAT(problem_of(changed), HasSubstr("too long"));
    changed[member] = std::string(kP2pAddressBytesMax, 'a');
    EXPECT_EQ(problem_of(changed), "");
    changed.erase(member);
    EXPECT_THAT(problem_of(changed), HasSubstr(member));
  }
  nlohmann::json other = kRegistration;
  other["type"] = "E";
  EXPECT_THAT(problem_of(other), HasSubstr("neither P nor D"));
  other["padding"] = std::string(kP2pRegistrationBytesMax, 'x');
  EXPECT_THAT(problem_of(other), HasSubstr("too long"));
  const std::string whole = packed(kRegistration);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_p2p_registration(whole.substr(0, size))) << size;
  }
  EXPECT_FALSE(read_p2p_registration(whole + "x"));
}

}  // namespace
}  // namespace kvasir
