// The files of this folder, and a worker like the server that they were recorded from.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvasir {

using OrderedJson = nlohmann::ordered_json;

inline OrderedJson load_recorded(const std::string& name) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream file(std::string(source == nullptr ? "." : source) + "/tests/vllm/" + name);
  EXPECT_TRUE(file) << name;
  return OrderedJson::parse(file);
}

// Like the recorded server in everything that its answers depend on.
inline const std::vector<std::string> kLikeRecorded = {
    "--time-scale", "1000", "--max-model-len",     "4096",
    "--block-size", "32",   "--served-model-name", "sim"};

}  // namespace kvasir
