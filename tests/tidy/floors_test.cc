// Keeps the house: a folder under src/ includes exactly the modules that its DEPS line lists, DEPS
// never point in a circle or to a higher floor, and docs/ARCHITECTURE.md shows floors and DEPS as
// they are.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "house.h"

namespace {

using namespace house;

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

using Graph = std::map<std::string, Names>;

// The names on a way from `from` back to itself; empty when there is none.
std::string circle_through(const Graph& graph, const std::string& from) {
  Names seen;
  const auto way = [&](const auto& self, const std::string& at) -> std::string {
    const auto found = graph.find(at);
    if (found == graph.end()) return "";
    for (const std::string& next : found->second) {
      if (next == from) return at + " -> " + next;
      if (!seen.insert(next).second) continue;
      const std::string rest = self(self, next);
      if (!rest.empty()) return at + " -> " + rest;
    }
    return "";
  };
  return way(way, from);
}

TEST(Floors, EveryFolderIsAModuleWithADepsLine) {
  const auto modules = listed_needs();
  for (const std::string& folder : folders()) {
    EXPECT_TRUE(modules.count(folder)) << "src/" << folder << " has no kvasir_module line";
  }
  EXPECT_GT(modules.size(), 10u);
}

TEST(Floors, DepsNeverPointInACircle) {
  Graph graph;
  const auto modules = listed_needs();
  for (const auto& [module, needs] : modules) {
    graph[module] = needs.all();
    for (const std::string& dep : needs.all())
      ASSERT_TRUE(modules.count(dep)) << module << " lists " << dep;
  }
  for (const auto& [module, below] : graph) EXPECT_EQ(circle_through(graph, module), "");
}

TEST(Floors, FilesNeverIncludeEachOtherInACircle) {
  const Graph graph = included_files();
  for (const auto& [file, included] : graph) EXPECT_EQ(circle_through(graph, file), "");
}

TEST(Floors, NoFileIncludesWhatDepsDoNotList) {
  const auto modules = listed_needs();
  for (const auto& [path, included] : included_files()) {
    const std::string module = module_of(path);
    const Needs& needs = modules.at(module);
    const Names listed = is_test(path) ? needs.all() : needs.library;
    for (const std::string& file : included) {
      EXPECT_TRUE(module_of(file) == module || listed.count(module_of(file)))
          << path << " includes " << file << ", which the DEPS line of " << module
          << " does not list";
    }
  }
}

TEST(Floors, DepsListNothingThatNoFileIncludes) {
  auto included = included_needs();
  for (const auto& [module, listed] : listed_needs()) {
    for (const std::string& dep : listed.library) {
      EXPECT_TRUE(included[module].library.count(dep))
          << "DEPS of " << module << " lists " << dep << ", which its library does not include";
    }
    for (const std::string& dep : listed.tests) {
      EXPECT_TRUE(included[module].tests.count(dep))
          << "TEST_DEPS of " << module << " lists " << dep
          << ", which its tests alone do not include";
    }
  }
}

TEST(Floors, EveryHeaderServesTheProgramOrIsAFixture) {
  // Whether a file that is no test includes it, beside its own source.
  std::map<std::string, bool> served;
  for (const auto& [path, included] : included_files()) {
    if (path.ends_with(".h") && !is_test(path)) served[path];
    for (const std::string& file : included) {
      const bool own = path == file.substr(0, file.size() - 2) + ".cc";
      if (is_test(path)) continue;
      EXPECT_FALSE(is_test(file)) << path << " includes " << file << ", which is made for tests";
      if (!own) served[file] = true;
    }
  }
  for (const auto& [file, used] : served) {
    EXPECT_TRUE(used) << file << " is included by tests alone: delete it, or name it *_fixture.h";
  }
}

TEST(Floors, TheDocumentShowsEveryModuleAndItsDeps) {
  auto documented = documented_modules();
  const auto modules = listed_needs();
  for (const auto& [module, needs] : modules) {
    EXPECT_EQ(joined(documented[module].deps), joined(needs.library))
        << "docs/ARCHITECTURE.md and src/" << module << "/CMakeLists.txt differ";
  }
  EXPECT_EQ(documented.size(), modules.size())
      << "docs/ARCHITECTURE.md shows a module that is not there";
}

TEST(Floors, NoModuleIncludesAHigherFloor) {
  const auto documented = documented_modules();
  for (const auto& [module, needs] : included_needs()) {
    for (const std::string& dep : needs.all()) {
      EXPECT_LE(documented.at(dep).floor, documented.at(module).floor)
          << module << " includes " << dep;
    }
  }
}

// Deciding is a Journey's (serving/journey.h): who carries bytes knows no scheduler, queue or
// fleet.
TEST(Floors, WhoCarriesBytesIncludesNothingThatDecides) {
  const Names deciding = {"scheduling", "flow", "fleet"};
  const Graph graph = included_files();
  size_t files = 0;
  for (const auto& [path, included] : graph) {
    if (!path.starts_with("gateway/relay") && !path.starts_with("epp/exchange")) continue;
    ++files;
    for (const std::string& file : included) {
      EXPECT_FALSE(deciding.count(module_of(file))) << path << " includes " << file;
    }
  }
  EXPECT_GE(files, 9u);
  // And the header that they have instead brings nothing of it in.
  std::vector<std::string> open = {"serving/journey.h"};
  Names seen(open.begin(), open.end());
  while (!open.empty()) {
    const std::string path = open.back();
    open.pop_back();
    ASSERT_TRUE(graph.count(path)) << path;
    EXPECT_FALSE(deciding.count(module_of(path))) << "serving/journey.h brings in " << path;
    for (const std::string& file : graph.at(path)) {
      if (seen.insert(file).second) open.push_back(file);
    }
  }
}

// A friend sees everything: what two classes share has a name instead.
TEST(Floors, FriendsAreFew) {
  constexpr size_t kFriendsMost = 5;
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::vector<std::string> friends;
  for (const auto& [path, included] : included_files()) {
    std::ifstream file(std::string(root == nullptr ? "." : root) + "/src/" + path);
    ASSERT_TRUE(file) << path;
    for (std::string line; std::getline(file, line);) {
      const size_t word = line.find_first_not_of(' ');
      if (word != std::string::npos && line.compare(word, 7, "friend ") == 0) {
        friends.push_back(path + ":" + line);
      }
    }
  }
  EXPECT_LE(friends.size(), kFriendsMost) << ::testing::PrintToString(friends);
}

TEST(Floors, ProgramsNeverIncludeEachOther) {
  constexpr int kProgramFloor = 6;
  const auto documented = documented_modules();
  for (const auto& [module, needs] : included_needs()) {
    if (documented.at(module).floor != kProgramFloor) continue;
    for (const std::string& dep : needs.all()) {
      EXPECT_LT(documented.at(dep).floor, kProgramFloor) << module << " includes " << dep;
    }
  }
}

}  // namespace
