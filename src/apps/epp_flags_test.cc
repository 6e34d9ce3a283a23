#include "apps/epp_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PeersFlagsTest : public ::testing::Test {
 protected:
  PeersFlagsTest() {
    flags_.endpoints = {"10.0.0.1:8000"};
    flags_.secure_serving = false;
    flags_.peers = {"127.0.0.1:9002"};
    flags_.host = "127.0.0.1";
    path_ = ::testing::TempDir() + "secret-" + std::to_string(getpid());
  }
  ~PeersFlagsTest() override { unlink(path_.c_str()); }

  void write(const std::string& text) {
    std::ofstream(path_) << text;
    flags_.peers_secret_file = path_;
  }
  // Empty: they are taken.
  std::string refusal() const {
    const Result<EppOptions> options = epp_options(flags_);
    return options ? "" : options.error().message;
  }

  EppFlags flags_;
  std::string path_;
};

TEST_F(PeersFlagsTest, OnThisMachineNoSecretIsNeeded) {
  EXPECT_EQ(refusal(), "");
}

TEST_F(PeersFlagsTest, OffThisMachineSharingWithoutASecretDoesNotStart) {
  flags_.host = EppFlags().host;
  EXPECT_THAT(refusal(), HasSubstr("--peers-secret-file"));
  flags_.host = "127.0.0.1";
  flags_.peers = {"epp-peers.default.svc:9002"};
  EXPECT_THAT(refusal(), HasSubstr("--peers-secret-file"));
  write("0123456789abcdef0123456789abcdef\n");
  EXPECT_EQ(refusal(), "");
  EXPECT_EQ(epp_options(flags_)->replicas.secret, "0123456789abcdef0123456789abcdef");
}

TEST_F(PeersFlagsTest, WhatIsNoSecretIsRefusedAndNotTold) {
  write("short secret\n");
  EXPECT_THAT(refusal(), HasSubstr("fewer than 16 bytes"));
  EXPECT_THAT(refusal(), Not(HasSubstr("short secret")));
  write("                        \n");
  EXPECT_THAT(refusal(), HasSubstr("fewer than 16 bytes"));
  write(std::string(5000, 'x'));
  EXPECT_THAT(refusal(), HasSubstr("--peers-secret-file: "));
  flags_.peers_secret_file = path_ + ".missing";
  EXPECT_THAT(refusal(), HasSubstr("--peers-secret-file: "));
}

}  // namespace
}  // namespace kvasir
