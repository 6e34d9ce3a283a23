// Keeps docs/plugins.md equal to what the plugins' headers say, and the headers complete.
#include "plugin_docs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "plugins/plugin_roster.h"
#include "scheduling/plugin_maker.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

std::string source_tree() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return root != nullptr ? root : ".";
}

class PluginDocs : public ::testing::Test {
 protected:
  const Registry registry_ = plugin_registry({}).value();
  const std::vector<PluginComment> comments_ = read_plugin_comments(source_tree(), registry_);
};

TEST_F(PluginDocs, TheCommittedFileIsWhatTheHeadersSay) {
  std::ifstream file(source_tree() + "/docs/plugins.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == plugin_document(registry_, comments_))
      << "docs/plugins.md is out of date: run make docs";
}

TEST_F(PluginDocs, EveryTypeOfTheRegistryHasOneSectionOrAReason) {
  std::map<std::string, int> sections;
  for (const PluginComment& comment : comments_) {
    for (const std::string& type : comment.types) ++sections[type];
  }
  for (const std::string_view name : registry_.names()) {
    const std::string type(name);
    const bool refused = !refusal_of(registry_, type).empty();
    EXPECT_EQ(sections[type], refused ? 0 : 1) << type;
  }
}

TEST_F(PluginDocs, EveryHeaderHasEveryPart) {
  for (const PluginComment& comment : comments_) {
    EXPECT_NE(comment.intent, "") << comment.file;
    for (const char* part : {"Formula", "Inputs", "Parameters"}) {
      EXPECT_TRUE(comment.has(part)) << comment.file << " lacks " << part;
    }
    EXPECT_NE(comment.example, "") << comment.file << " lacks an example";
  }
}

TEST_F(PluginDocs, EveryExampleWorks) {
  for (const PluginComment& comment : comments_) {
    const auto parsed = parse_yaml(comment.example);
    const Value* value = std::get_if<Value>(&parsed);
    ASSERT_TRUE(value != nullptr && value->list() != nullptr) << comment.file;
    SchedulingConfig config;
    config.profiles = {{"decode"}};
    bool names_a_decider = false;
    for (const Value& plugin : *value->list()) {
      const std::string type = *plugin.find("type")->text();
      const Value* parameters = plugin.find("parameters");
      config.plugins.push_back({type, type, parameters != nullptr ? *parameters : Value()});
      names_a_decider |= type == "prefix-based-pd-decider";
      EXPECT_EQ(std::count(comment.types.begin(), comment.types.end(), type), 1) << comment.file;
    }
    const std::string decider = "prefix-based-pd-decider";  // which handlers' examples name
    if (!names_a_decider) config.plugins.push_back({decider, decider});
    PluginOptions options;
    options.endpoints = 1;
    options.allow_alpha = true;
    options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    PluginMaker maker(registry_, config, options);
    EXPECT_TRUE(maker.make_all()) << comment.file << ": " << to_string(maker.problems());
  }
}

TEST_F(PluginDocs, TheTitleMarksWhatIsAlphaOrDeprecated) {
  const std::string text = plugin_document(registry_, comments_);
  for (const std::string_view name : registry_.names()) {
    const Stability stability = registry_.find(name)->stability;
    if (stability == Stability::kStable) continue;
    const std::string mark = stability == Stability::kAlpha ? " (alpha)" : " (deprecated";
    EXPECT_NE(text.find("`" + std::string(name) + "`" + mark), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace kvasir
