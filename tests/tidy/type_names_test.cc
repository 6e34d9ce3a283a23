// One type name of namespace kvasir is defined once: two definitions of one name in one program are
// undefined behaviour of which no compiler tells.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;
using Places = std::map<std::string, std::set<std::string>>;  // type name -> files

// The type that a line defines at namespace level, where lines begin in the first column; empty:
// none.
std::string defined_type(const std::string& line) {
  static const std::regex type(
      R"((?:template <.*> )?(?:class|struct|union|enum class|enum) ([A-Z][\w:]*)( final)?( :.*| \{.*|))");
  static const std::regex alias(R"((?:template <.*> )?using ([A-Z]\w*) = .*)");
  std::smatch match;
  if (std::regex_match(line, match, type) && (!line.ends_with(';') || line.ends_with("};"))) {
    return match[1];
  }
  return std::regex_match(line, match, alias) ? match[1].str() : std::string();
}

// Adds what a file defines outside of anonymous namespaces.
void add_types(std::istream& file, const std::string& name, Places& places) {
  bool anonymous = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "namespace {") anonymous = true;
    if (line == "}  // namespace") anonymous = false;
    const std::string type = anonymous ? std::string() : defined_type(line);
    if (!type.empty()) places[type].insert(name);
  }
}

Places types_of_the_tree() {
  const char* variable = std::getenv("KVASIR_SOURCE_DIR");
  const fs::path root = variable ? variable : ".";
  Places places;
  for (const char* folder : {"src", "tests", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      std::ifstream file(entry.path());
      add_types(file, fs::relative(entry.path(), root), places);
    }
  }
  return places;
}

TEST(TypeNames, AreFoundWhereverALineDefinesOne) {
  for (const char* line :
       {"class Name {", "class Name final : public Other {", "struct Name {", "struct Name {};",
        "struct Name : Other {", "enum class Name {", "enum class Name : uint8_t {",
        "enum class Name : uint8_t { kOne, kTwo };", "template <class T> class Name {",
        "struct Name", "using Name = std::vector<int>;", "class Name final : public Other,"}) {
    EXPECT_EQ(defined_type(line), "Name") << line;
  }
  for (const char* line :
       {"class Name;", "struct Name;", "enum class Name : uint8_t;", "  class Name {",
        "class Name* make();", "using std::swap;", "struct Name value;", "}"}) {
    EXPECT_EQ(defined_type(line), "") << line;
  }
  EXPECT_EQ(defined_type("class Outer::Inner {"), "Outer::Inner");
}

TEST(TypeNames, EachIsDefinedOnce) {
  const Places places = types_of_the_tree();
  EXPECT_GT(places.size(), 500u);
  for (const auto& [type, files] : places) {
    std::string all;
    for (const std::string& file : files) all.append("\n  ").append(file);
    EXPECT_EQ(files.size(), 1u) << type << " is defined in" << all;
  }
}

}  // namespace
