#include "sidecar/prefiller_allowlist.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "base/virtual_executor_fixture.h"
#include "net/io/resolver_fixture.h"
#include "sidecar/candidate_check.h"

namespace kvasir {
namespace {

SocketAddress at(const std::string& host, uint16_t port) {
  return with_port(*literal_address(host), port);
}

TEST(PrefillerAllowlist, BeforeAFirstListNothingIsAllowed) {
  PrefillerAllowlist list;
  EXPECT_FALSE(list.settled());
  EXPECT_FALSE(list.allows(at("10.0.0.1", 8000)));
  list.replace_all({});
  EXPECT_TRUE(list.settled());
  EXPECT_EQ(list.size(), 0u);
}

// Vector T12.
TEST(PrefillerAllowlist, AddressAndPortCountInAnySpelling) {
  PrefillerAllowlist list;
  list.replace_all(
      {{"a", "10.0.0.1", 8000}, {"b", "fd00::1", 8000}, {"c", "::ffff:10.0.0.9", 8000}});
  EXPECT_EQ(list.size(), 3u);
  EXPECT_TRUE(list.allows(at("10.0.0.1", 8000)));
  EXPECT_TRUE(list.allows(at("::ffff:10.0.0.1", 8000)));
  EXPECT_TRUE(list.allows(at("fd00:0:0:0:0:0:0:1", 8000)));
  EXPECT_TRUE(list.allows(at("FD00::0001", 8000)));
  EXPECT_TRUE(list.allows(at("10.0.0.9", 8000)));
  for (const char* other : {"10.0.0.2", "fd00::2", "127.0.0.1", "::1", "169.254.169.254"}) {
    EXPECT_FALSE(list.allows(at(other, 8000))) << other;
    EXPECT_FALSE(list.allows_host(at(other, 8998))) << other;
  }
  EXPECT_FALSE(list.allows(at("10.0.0.1", 8001)));
  EXPECT_TRUE(list.allows_host(at("10.0.0.1", 8998)));
}

// Pods change all the time without changing what is allowed.
TEST(PrefillerAllowlist, SaysWhetherAnythingChanged) {
  PrefillerAllowlist list;
  EXPECT_TRUE(list.replace_all({{"a", "10.0.0.1", 8000}, {"decoder", "", 8000}}));
  EXPECT_FALSE(list.replace_all({{"a", "10.0.0.1", 8000}}));
  EXPECT_FALSE(list.apply({{"a", "10.0.0.1", 8000}, {"decoder", "", 8000}}, {"unknown"}));
  EXPECT_TRUE(list.apply({{"a", "10.0.0.1", 8001}}, {}));
  EXPECT_TRUE(list.allows(at("10.0.0.1", 8001)));
  EXPECT_FALSE(list.allows(at("10.0.0.1", 8000)));
  EXPECT_TRUE(list.replace_all({{"a", "10.0.0.2", 8001}})) << "as many as before, but another";
  EXPECT_TRUE(list.apply({{"a", "", 8001}}, {})) << "it only decodes from now on";
  EXPECT_EQ(list.size(), 0u);
}

TEST(PrefillerAllowlist, ChangesAreByNameAndAnAddressStaysWhileAnyNameHasIt) {
  PrefillerAllowlist list;
  list.replace_all({{"a", "10.0.0.1", 8000}});
  list.apply({{"b", "10.0.0.1", 8000}, {"c", "10.0.0.3", 8000}}, {"a", "unknown"});
  EXPECT_TRUE(list.allows(at("10.0.0.1", 8000)));
  EXPECT_EQ(list.size(), 2u);
  list.apply({{"b", "10.0.0.2", 8000}}, {});  // the pod came back elsewhere
  EXPECT_FALSE(list.allows(at("10.0.0.1", 8000)));
  EXPECT_FALSE(list.allows_host(at("10.0.0.1", 1)));
  EXPECT_TRUE(list.allows(at("10.0.0.2", 8000)));
  list.apply({}, {"b", "c"});
  EXPECT_EQ(list.size(), 0u);
}

TEST(PrefillerAllowlist, WhatIsNoLiteralOrHasNoPortAllowsNothing) {
  PrefillerAllowlist list;
  list.replace_all({{"a", "prefill-0", 8000}, {"b", "10.0.0.1", 0}, {"c", "", 8000}});
  EXPECT_EQ(list.size(), 0u);
}

class CandidateCheckTest : public ::testing::Test {
 protected:
  CandidateCheckTest() { list_.replace_all({{"a", "10.0.0.1", 8000}, {"b", "10.0.0.2", 8000}}); }

  // nullptr while a look-up runs.
  const CandidateCheck::Checked* check(std::vector<HostPort> candidates) {
    checked_.reset();
    check_ = std::make_unique<CandidateCheck>(
        executor_, resolver_, list_, std::move(candidates),
        [this](CandidateCheck::Checked checked) { checked_ = std::move(checked); });
    check_->start();
    return checked_ ? &*checked_ : nullptr;
  }
  // "-": it is not allowed.
  std::vector<std::string> addresses() const {
    std::vector<std::string> texts;
    for (const auto& address : *checked_) texts.push_back(address ? to_string(*address) : "-");
    return texts;
  }

  VirtualExecutor executor_;
  FakeResolver resolver_;
  PrefillerAllowlist list_;
  std::unique_ptr<CandidateCheck> check_;
  std::optional<CandidateCheck::Checked> checked_;
};

using Texts = std::vector<std::string>;

TEST_F(CandidateCheckTest, LiteralsAreComparedAtOnce) {
  ASSERT_NE(check({{"10.0.0.2", 8000}, {"10.0.0.2", 22}, {"10.0.0.3", 8000}}), nullptr);
  EXPECT_EQ(addresses(), (Texts{"10.0.0.2:8000", "-", "-"}));
}

TEST_F(CandidateCheckTest, ANameIsAskedAtTheAddressThatWasCompared) {
  resolver_.set("good", {"10.9.9.9", "10.0.0.1"});
  resolver_.set("bad", {"169.254.169.254"});
  resolver_.set("none", {});
  ASSERT_EQ(check({{"good", 8000}, {"bad", 8000}, {"none", 8000}, {"away", 8000}, {"good", 22}}),
            nullptr);
  executor_.run_until(executor_.now());
  ASSERT_TRUE(checked_);
  EXPECT_EQ(addresses(), (Texts{"10.0.0.1:8000", "-", "-", "-", "-"}));
}

TEST_F(CandidateCheckTest, WhoDoesNotWaitHearsNothing) {
  resolver_.hang("slow");
  ASSERT_EQ(check({{"slow", 8000}}), nullptr);
  check_.reset();
  executor_.run_until(executor_.now());
  EXPECT_FALSE(checked_);
  EXPECT_EQ(resolver_.under_way(), 0);
}

}  // namespace
}  // namespace kvasir
