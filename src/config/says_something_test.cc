// A file that says nothing, and one that was cut short.
#include <gtest/gtest.h>

#include "config/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

ConfigReading reading_of(const char* text) {
  return read_endpoint_picker_config(text, upstream_plugin_types());
}

TEST(EmptyConfiguration, WhatSaysNothingIsTold) {
  for (const char* text :
       {"", "\n", "   \n\n", "# a comment\n", "---\n", "null\n", "~", "{}", "[]",
        "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n",
        "apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\nplugins:\n",
        "kind: EndpointPickerConfig\nplugins: []\nschedulingProfiles: []\n"}) {
    EXPECT_FALSE(reading_of(text).says_something) << text;
  }
}

TEST(EmptyConfiguration, PluginsAreCounted) {
  EXPECT_EQ(reading_of("plugins:\n- type: a\n- type: b\n").plugins_listed, 2u);
  for (const char* text : {"", "plugins:", "plugins: {}", "words", "plugins: [", "- plugins"}) {
    EXPECT_EQ(reading_of(text).plugins_listed, 0u) << text;
  }
}

TEST(EmptyConfiguration, WhatSaysSomethingOrCannotBeReadIsNot) {
  for (const char* text :
       {"plugins:\n- type: queue-scorer\n", "featureGates: [flowControl]\n", "words", "7",
        "plugins: [", "a: b: c", "schedulingProfiles:\n- name: default\n"}) {
    EXPECT_TRUE(reading_of(text).says_something) << text;
  }
}

}  // namespace
}  // namespace kvasir
