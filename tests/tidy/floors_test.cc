// Keeps the house: a folder under src/ includes exactly the modules that its DEPS line lists, DEPS
// never point in a circle or to a higher floor, and docs/ARCHITECTURE.md shows floors and DEPS as
// they are.
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
using Names = std::set<std::string>;

fs::path project_folder() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return root ? root : ".";
}

fs::path source_folder() {
  return project_folder() / "src";
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Names words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

// What one folder needs of the others: by its CMakeLists.txt, or by its #include lines.
struct Needs {
  Names library, tests;  // tests: what only tests, fuzzers and benchmarks need
  Names all() const {
    Names both = library;
    both.insert(tests.begin(), tests.end());
    return both;
  }
};
using Modules = std::map<std::string, Needs>;

Modules listed_needs() {
  static const std::regex line(
      R"(kvasir_module\((\w+)(?:\s+DEPS\s+([a-z_\s]*))?(?:TEST_DEPS\s+([a-z_\s]*))?)");
  Modules modules;
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    const std::string text = read_file(folder.path() / "CMakeLists.txt");
    std::smatch match;
    if (std::regex_search(text, match, line))
      modules[match[1]] = {words(match[2]), words(match[3])};
  }
  return modules;
}

// Every source file, its path relative to src/, and what it includes of src/.
std::map<std::string, Names> included_files() {
  static const std::regex include(R"re(#include "([a-z_0-9/]+\.h)")re");
  std::map<std::string, Names> files;
  for (const auto& file : fs::recursive_directory_iterator(source_folder())) {
    const std::string extension = file.path().extension();
    if (extension != ".h" && extension != ".cc") continue;
    const std::string text = read_file(file.path());
    Names& included = files[fs::relative(file.path(), source_folder())];
    for (std::sregex_iterator it(text.begin(), text.end(), include), end; it != end; ++it) {
      included.insert((*it)[1]);
    }
  }
  return files;
}

std::string module_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}

bool is_test(const std::string& path) {
  static const std::regex test(R"(.*_(test|fuzz|bench)\.cc)");
  return std::regex_match(path, test);
}

Modules included_needs() {
  Modules modules;
  for (const auto& [path, included] : included_files()) {
    Needs& needs = modules[module_of(path)];
    Names& used = is_test(path) ? needs.tests : needs.library;
    for (const std::string& file : included) {
      if (module_of(file) != module_of(path)) used.insert(module_of(file));
    }
  }
  for (auto& [module, needs] : modules) {
    for (const std::string& name : needs.library) needs.tests.erase(name);
  }
  return modules;
}

// The table of docs/ARCHITECTURE.md: | floor | folder | one sentence | DEPS |.
struct DocumentedModule {
  int floor = 0;
  Names deps;
};

std::map<std::string, DocumentedModule> documented_modules() {
  static const std::regex row(R"(\n\| (\d) \| (\w+) \|[^|\n]*\| ([a-z_ -]+) \|)");
  const std::string text = read_file(project_folder() / "docs/ARCHITECTURE.md");
  std::map<std::string, DocumentedModule> modules;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
    const Names deps = (*it)[3] == "-" ? Names() : words((*it)[3]);
    modules[(*it)[2]] = {std::stoi((*it)[1]), deps};
  }
  return modules;
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
  const Modules modules = listed_needs();
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    EXPECT_TRUE(modules.count(folder.path().filename()))
        << folder.path() << " has no kvasir_module line";
  }
  EXPECT_GT(modules.size(), 10u);
}

TEST(Floors, DepsNeverPointInACircle) {
  Graph graph;
  const Modules modules = listed_needs();
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
  const Modules modules = listed_needs();
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
  Modules included = included_needs();
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

TEST(Floors, TheDocumentShowsEveryModuleAndItsDeps) {
  auto documented = documented_modules();
  const Modules modules = listed_needs();
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
