#include "serving/empty_configuration.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(EmptyConfiguration, WhatSaysNothingIsTold) {
  for (const char* text :
       {"", "\n", "   \n\n", "# a comment\n", "---\n", "null\n", "~", "{}", "[]",
        "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n",
        "apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\nplugins:\n",
        "kind: EndpointPickerConfig\nplugins: []\nschedulingProfiles: []\n"}) {
    EXPECT_TRUE(configures_nothing(text)) << text;
  }
}

TEST(EmptyConfiguration, PluginsAreCounted) {
  EXPECT_EQ(plugins_named("plugins:\n- type: a\n- type: b\n"), 2u);
  for (const char* text : {"", "plugins:", "plugins: {}", "words", "plugins: [", "- plugins"}) {
    EXPECT_EQ(plugins_named(text), 0u) << text;
  }
}

TEST(EmptyConfiguration, WhatSaysSomethingOrCannotBeReadIsNot) {
  for (const char* text :
       {"plugins:\n- type: queue-scorer\n", "featureGates: [flowControl]\n", "words", "7",
        "plugins: [", "a: b: c", "schedulingProfiles:\n- name: default\n"}) {
    EXPECT_FALSE(configures_nothing(text)) << text;
  }
}

}  // namespace
}  // namespace kvasir
