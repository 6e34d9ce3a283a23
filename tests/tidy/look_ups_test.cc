// What looks a name up blocks for as long as the system likes: it is called in few places, and
// every other one goes through a Resolver.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "house.h"

namespace {

namespace fs = std::filesystem;

// The files of the program in which a line matches.
std::set<std::string> files_with(const std::regex& pattern) {
  const char* variable = std::getenv("KVASIR_SOURCE_DIR");
  const fs::path root = fs::path(variable ? variable : ".") / "src";
  std::set<std::string> files;
  for (const auto& [path, included] : house::included_files()) {
    if (house::is_test(path)) continue;
    std::ifstream file(root / path);
    for (std::string line; std::getline(file, line);) {
      if (std::regex_search(line, pattern)) files.insert(path);
    }
  }
  return files;
}

TEST(LookUps, OnlyTheResolverAsksTheSystemButForAddressesToListenOn) {
  const std::regex call(R"(\b(getaddrinfo|gethostby\w+|res_n?query)\([^)])");
  EXPECT_EQ(files_with(call),
            (std::set<std::string>{"net/io/socket.cc", "net/io/system_resolver.cc"}));
}

// They look up where this program, or one that it starts, listens.
TEST(LookUps, OnlyProgramsThatListenThereResolveAnAddressOnTheSpot) {
  EXPECT_EQ(files_with(std::regex(R"(= resolve\()")),
            (std::set<std::string>{"apps/up_session.cc", "supervise/port_lease.cc",
                                   "transfer/nixl/nixl_side_channel.cc"}));
}

}  // namespace
