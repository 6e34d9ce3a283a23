// Keeps the house: a folder under src/ includes only the modules that its DEPS line lists, and DEPS never
// point in a circle.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;
using Deps = std::map<std::string, std::set<std::string>>;

fs::path source_folder() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return fs::path(root ? root : ".") / "src";
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

Deps read_deps() {
  static const std::regex line(R"(kvasir_module\((\w+)(?:\s+DEPS\s+([a-z_\s]*))?)");
  Deps deps;
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    const std::string text = read_file(folder.path() / "CMakeLists.txt");
    std::smatch match;
    if (std::regex_search(text, match, line)) deps[match[1]] = words(match[2]);
  }
  return deps;
}

bool reaches(const Deps& deps, const std::string& from, const std::string& to) {
  for (const std::string& next : deps.at(from)) {
    if (next == to || reaches(deps, next, to)) return true;
  }
  return false;
}

TEST(Floors, EveryFolderIsAModuleWithADepsLine) {
  const Deps deps = read_deps();
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    EXPECT_TRUE(deps.count(folder.path().filename())) << folder.path() << " has no kvasir_module line";
  }
  EXPECT_GT(deps.size(), 10u);
}

TEST(Floors, DepsNeverPointInACircle) {
  const Deps deps = read_deps();
  for (const auto& [module, below] : deps) {
    for (const std::string& dep : below) ASSERT_TRUE(deps.count(dep)) << module << " lists " << dep;
    EXPECT_FALSE(reaches(deps, module, module)) << module << " depends on itself";
  }
}

TEST(Floors, IncludesMatchDeps) {
  const Deps deps = read_deps();
  static const std::regex include(R"re(#include "([a-z_]+)/)re");
  for (const auto& file : fs::recursive_directory_iterator(source_folder())) {
    const std::string extension = file.path().extension();
    if (extension != ".h" && extension != ".cc") continue;
    const std::string module = *fs::relative(file.path(), source_folder()).begin();
    const std::string text = read_file(file.path());
    for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it) {
      const std::string included = (*it)[1];
      EXPECT_TRUE(included == module || deps.at(module).count(included))
          << file.path() << " includes " << included << "/, which the DEPS line of " << module
          << " does not list";
    }
  }
}

}  // namespace
