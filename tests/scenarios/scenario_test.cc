// One test for each scenario file, named after it: --gtest_filter='*tie_rotation*'.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scenario_file.h"
#include "scenario_player.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

fs::path source_folder() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return root != nullptr ? root : ".";
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string report(const std::string& file, const std::vector<Remark>& problems) {
  std::string text;
  for (const Remark& problem : problems) {
    text += "  " + file + ":" + std::to_string(problem.line) + ": " + problem.text + "\n";
  }
  return text;
}

class ScenarioTest : public ::testing::Test {
 public:
  explicit ScenarioTest(fs::path file) : file_(std::move(file)) {}

  void TestBody() override {
    const std::string name = file_.filename();
    const auto read = read_scenario(read_file(file_), source_folder());
    if (const auto* problems = std::get_if<std::vector<Remark>>(&read)) {
      FAIL() << "the scenario cannot be read:\n" << report(name, *problems);
    }
    const Scenario& scenario = std::get<Scenario>(read);
    const std::vector<Remark> problems = play(scenario);
    EXPECT_TRUE(problems.empty()) << scenario.about << "\n" << report(name, problems);
  }

 private:
  const fs::path file_;
};

std::vector<fs::path> scenario_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(source_folder() / "tests" / "scenarios")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto files = kvasir::scenario_files();
  for (const auto& file : files) {
    ::testing::RegisterTest(
        "Scenario", file.stem().c_str(), nullptr, nullptr, __FILE__, __LINE__,
        [file]() -> ::testing::Test* { return new kvasir::ScenarioTest(file); });
  }
  if (files.empty()) {
    std::fprintf(stderr, "no scenario was found: set KVASIR_SOURCE_DIR\n");
    return 1;
  }
  return RUN_ALL_TESTS();
}
