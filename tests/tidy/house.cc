#include "house.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

namespace house {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

Names Needs::all() const {
  Names both = library;
  both.insert(tests.begin(), tests.end());
  return both;
}

Names folders() {
  Names names;
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    names.insert(folder.path().filename());
  }
  return names;
}

std::map<std::string, Needs> listed_needs() {
  static const std::regex line(
      R"(kvasir_module\((\w+)(?:\s+DEPS\s+([a-z_\s]*))?(?:TEST_DEPS\s+([a-z_\s]*))?)");
  std::map<std::string, Needs> modules;
  for (const auto& folder : fs::directory_iterator(source_folder())) {
    const std::string text = read_file(folder.path() / "CMakeLists.txt");
    std::smatch match;
    if (std::regex_search(text, match, line))
      modules[match[1]] = {words(match[2]), words(match[3])};
  }
  return modules;
}

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
  static const std::regex test(R"(.*(_(test|fuzz|bench)\.cc|_fixture\.h))");
  return std::regex_match(path, test);
}

std::map<std::string, Needs> included_needs() {
  std::map<std::string, Needs> modules;
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

}  // namespace house
