#include "config/config_profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/read_endpoint_picker_config.h"
#include "plugins/plugin_roster.h"

namespace kvasir {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

ConfigReading read_install(const std::string& epp) {
  return read_endpoint_picker_config(
      "apiVersion: sim.llm-d.io/v1alpha1\nkind: SchedulerInstall\nmetadata: {name: s}\nspec:\n"
      "  simulatorNamespace: sim\n  epp: " +
          epp + "\n",
      upstream_plugin_types());
}

std::vector<std::string> plugins_of(const ConfigReading& reading) {
  std::vector<std::string> names;
  if (reading.config.profiles.size() != 1) return names;
  for (const PluginUse& use : reading.config.profiles[0].plugins) names.push_back(use.plugin);
  return names;
}

TEST(ConfigProfiles, AProfileOfASchedulerInstallIsAConfiguration) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"{configProfile: proxy-performance}", {"active-request-scorer", "max-score-picker"}},
      {"{configProfile: proxy-performance-by-backend}",
       {"by-kv-backend", "active-request-scorer", "max-score-picker"}},
      {"{configProfile: default}",
       {"decode-filter", "load-aware-scorer", "prefix-cache-scorer", "kv-cache-utilization-scorer",
        "max-score-picker"}},
      {"{replicas: 1}",
       {"decode-filter", "load-aware-scorer", "prefix-cache-scorer", "kv-cache-utilization-scorer",
        "max-score-picker"}}};
  for (const auto& [epp, plugins] : cases) {
    const ConfigReading reading = read_install(epp);
    EXPECT_TRUE(reading.ok()) << epp << ": " << to_string(reading.errors.front());
    EXPECT_TRUE(reading.warnings.empty()) << epp << ": " << to_string(reading.warnings.front());
    EXPECT_EQ(plugins_of(reading), plugins) << epp;
    EXPECT_THAT(reading.notes, Contains(Field(&Remark::text, HasSubstr("nothing else of it"))));
  }
}

TEST(ConfigProfiles, AnUnknownOneIsAnErrorWithItsLineAndTheKnownOnes) {
  for (const char* epp : {"{configProfile: fast}", "{configProfile: 3}"}) {
    const ConfigReading reading = read_install(epp);
    ASSERT_EQ(reading.errors.size(), 1u) << epp;
    EXPECT_EQ(reading.errors[0].line, 6);
    EXPECT_THAT(reading.errors[0].text,
                HasSubstr("default, proxy-performance, proxy-performance-by-backend"));
  }
}

}  // namespace
}  // namespace kvasir
