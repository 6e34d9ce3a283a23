#include "apps/open_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

const std::vector<OpenPort> kPorts = {{"ext_proc", 9002}, {"health", 9003}, {"metrics", 9090}};

TEST(OpenPorts, AreNamedWithAWayToCloseThem) {
  for (const char* host : {"0.0.0.0", "::"}) {
    const std::string warning = open_ports_warning(host, kPorts);
    EXPECT_THAT(warning, HasSubstr("without authentication")) << host;
    EXPECT_THAT(warning, HasSubstr("this machine: ext_proc 9002, health 9003, metrics 9090"));
    EXPECT_THAT(warning, HasSubstr("--host 127.0.0.1"));
    EXPECT_EQ(warning.find('\n'), std::string::npos);
  }
  EXPECT_THAT(open_ports_warning("10.0.0.7", kPorts), HasSubstr("10.0.0.7: ext_proc 9002"));
}

TEST(OpenPorts, OfThisMachineAloneAreNotWarnedOf) {
  for (const char* host : {"127.0.0.1", "127.0.3.4", "::1", "localhost"}) {
    EXPECT_EQ(open_ports_warning(host, kPorts), "") << host;
  }
}

}  // namespace
}  // namespace kvasir
