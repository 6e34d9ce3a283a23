#include "timing/engine_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "timing/builtin_profiles.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

constexpr const char* kProfile = R"({
  "name": "small", "model": "m", "max_model_len": 4096, "kv_tokens": 8000, "block_size": 16,
  "max_num_seqs": 8, "max_num_batched_tokens": 512, "gpu_memory_utilization": 0.85,
  "step": {"overhead_ms": 4, "dense_ms_by_tokens": [[1, 10], [16, 10.5]], "padded_above": 256,
    "padding": 128, "prefill_attention_ms": 1e-6, "decode_attention_ms": 2e-5,
    "sampling_floor_ms": 0.4, "sampling_ms_per_row": 0.002}})";

// kProfile with the first `from` replaced by `to`.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = kProfile;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(EngineProfile, IsReadKeyByKey) {
  const auto profile = parse_engine_profile(kProfile, "test");
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_EQ(profile->name, "small");
  EXPECT_EQ(profile->model, "m");
  EXPECT_EQ(profile->max_model_len, 4096u);
  EXPECT_EQ(profile->kv_tokens, 8000u);
  EXPECT_EQ(profile->kv_blocks(), 500u);
  EXPECT_EQ(profile->max_num_seqs, 8u);
  EXPECT_EQ(profile->max_num_batched_tokens, 512u);
  EXPECT_EQ(profile->gpu_memory_utilization, 0.85);
  EXPECT_EQ(profile->kv_bytes_per_token, 0u);
  EXPECT_EQ(profile->gpu_memory_bytes, 0u);
  EXPECT_EQ(profile->host_link_gb_per_s, 55);
  EXPECT_EQ(profile->step.overhead_ms, 4);
  EXPECT_EQ(profile->step.dense_ms_by_tokens,
            (std::vector<std::pair<double, double>>{{1, 10}, {16, 10.5}}));
  EXPECT_EQ(profile->step.padded_above, 256u);
  EXPECT_EQ(profile->step.padding, 128u);
  EXPECT_EQ(profile->step.prefill_attention_ms, 1e-6);
  EXPECT_EQ(profile->step.decode_attention_ms, 2e-5);
  EXPECT_EQ(profile->step.sampling_floor_ms, 0.4);
  EXPECT_EQ(profile->step.sampling_ms_per_row, 0.002);
}

TEST(EngineProfile, SizesThatOnlyMetricsTellMayBeLeftOut) {
  const auto profile = parse_engine_profile(
      edited(R"("model": "m")",
             R"("model": "m", "kv_bytes_per_token": 262144, "gpu_memory_bytes": 80000000000,)"
             R"("host_link_gb_per_s": 26.5)"),
      "test");
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_EQ(profile->kv_bytes_per_token, 262144u);
  EXPECT_EQ(profile->gpu_memory_bytes, 80000000000u);
  EXPECT_EQ(profile->host_link_gb_per_s, 26.5);
}

TEST(EngineProfile, WhatAProfileDoesNotSayTakesNoTime) {
  const auto profile = parse_engine_profile(
      R"({"name": "small", "model": "m", "max_model_len": 4096, "kv_tokens": 8000, "block_size": 16,
          "max_num_seqs": 8, "max_num_batched_tokens": 512, "gpu_memory_utilization": 0.85,
          "step": {"dense_ms_by_tokens": [[1, 10], [16, 10.5]], "prefill_attention_ms": 1e-6,
                   "decode_attention_ms": 2e-5}})",
      "test");
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_EQ(profile->step.overhead_ms, 0);
  EXPECT_EQ(profile->step.padding, 1u);
  EXPECT_EQ(profile->step.sampling_floor_ms, 0);
  EXPECT_EQ(profile->step.sampling_ms_per_row, 0);
}

TEST(EngineProfile, SourcesAreTextsOfKeysThatThereAre) {
  const auto with_sources = [](const std::string& sources) {
    return parse_engine_profile(edited(R"("model": "m")", R"("model": "m", "sources": )" + sources),
                                "test");
  };
  EXPECT_TRUE(with_sources(R"({"kv_tokens": "read off", "step.padding": "guessed"})").ok());
  const std::pair<const char*, const char*> wrong[] = {
      {R"("a paper")", "test: sources must be an object"},
      {R"({"kv_tokens": 3})", "test: sources.kv_tokens must be a text"},
      {R"({"speed": "a paper"})", "test: sources.speed is of no key of this profile"},
      {R"({"padding": "a paper"})", "test: sources.padding is of no key of this profile"},
      {R"({"step.x": "a paper"})", "test: sources.step.x is of no key of this profile"},
      {R"({"model": "a", "model": "b"})", "test: model is there twice"},
  };
  for (const auto& [sources, error] : wrong) {
    const auto profile = with_sources(sources);
    ASSERT_FALSE(profile.ok()) << sources;
    EXPECT_EQ(profile.error().message, error);
  }
}

TEST(EngineProfile, EveryNumberOfABuiltinProfileHasASource) {
  for (const BuiltinProfile& profile : builtin_profiles()) {
    const auto json = nlohmann::json::parse(profile.json);
    for (const auto& [key, value] : json.items()) {
      if (key == "sources" || key == "step") continue;
      EXPECT_GT(json["sources"].value(key, "").size(), 5u) << profile.name << " " << key;
    }
    for (const auto& [key, value] : json["step"].items()) {
      EXPECT_GT(json["sources"].value("step." + key, "").size(), 5u) << profile.name << " " << key;
    }
  }
}

TEST(EngineProfile, ErrorsNameTheKey) {
  const struct {
    std::string from, to, error;
  } cases[] = {
      {"{", "", "test: not JSON"},
      {R"("name": "small",)", "", "test: name is missing"},
      {R"("small")", R"("")", "name must be a text"},
      {R"("m")", "7", "model must be a text"},
      {"4096", "1", "max_model_len must be a whole number from 2 to"},
      {"4096", "4096.5", "max_model_len must be a whole number"},
      {"4096", "99999999999999999999", "max_model_len must be a whole number"},
      {"8000", "15", "kv_tokens must be a whole number from 16"},
      {R"("block_size": 16)", R"("block_size": 0)", "block_size must be a whole number from 1"},
      {R"("max_num_seqs": 8)", R"("max_num_seqs": -8)", "max_num_seqs must be a whole number"},
      {R"("max_num_seqs": 8)", R"("max_num_seqs": "8")", "max_num_seqs must be a whole number"},
      {R"("max_num_seqs": 8)", R"("max_num_seqs": 8, "max_num_seqs": 9)",
       "max_num_seqs is there twice"},
      {R"("max_num_seqs": 8)", R"("max_seqs": 8)", "max_num_seqs is missing"},
      {R"("model": "m")", R"("model": "m", "speed": 3)", "speed is not a key"},
      {R"("model": "m")", R"("model": "m", "gpu_memory_bytes": 0)", "gpu_memory_bytes must be"},
      {R"("model": "m")", R"("model": "m", "host_link_gb_per_s": 0)",
       "host_link_gb_per_s must be a number from 0.001"},
      {"0.85", "1.5", "gpu_memory_utilization must be a number from 0 to 1"},
      {R"("padding": 128)", R"("padding": 0)", "step.padding must be"},
      {R"("overhead_ms": 4)", R"("overhead_ms": -4)", "step.overhead_ms must be a number from 0"},
      {R"("overhead_ms": 4)", R"("overhead_ms": 4, "x": 1)", "step.x is not a key"},
      {R"("overhead_ms": 4)", R"("overhead_ms": null)", "step.overhead_ms must be a number"},
      {R"("padded_above": 256)", R"("padding": 256)", "padding is there twice"},
      {"2e-5", "2e5", "step.decode_attention_ms must be a number from 0 to 0.01"},
      {"[[1, 10], [16, 10.5]]", "[]", "step.dense_ms_by_tokens must be a list"},
      {"[[1, 10], [16, 10.5]]", "12", "step.dense_ms_by_tokens must be a list"},
      {"[16, 10.5]", "[16]", "step.dense_ms_by_tokens[1] must be a pair"},
      {"[16, 10.5]", "[1, 10.5]", "step.dense_ms_by_tokens[1] must have more tokens"},
      {"[16, 10.5]", "[16, 9]", "step.dense_ms_by_tokens[1] must not be faster"},
      {"[16, 10.5]", "[16, -9]", "step.dense_ms_by_tokens[1][1] must be a number"},
  };
  for (const auto& test : cases) {
    const auto profile = parse_engine_profile(edited(test.from, test.to), "test");
    ASSERT_FALSE(profile.ok()) << test.error;
    EXPECT_THAT(profile.error().message, HasSubstr(test.error));
    EXPECT_EQ(profile.error().message.find("test: "), 0u) << profile.error().message;
  }
}

TEST(EngineProfile, DocumentsThatAreNoObjectsAreErrors) {
  for (const char* text : {"", "[]", "7", "null", "\"\"", "{} {}", R"({"step": 3})", "\xff"}) {
    EXPECT_FALSE(parse_engine_profile(text, "test").ok()) << text;
  }
  EXPECT_THAT(parse_engine_profile(edited(R"("step": {)", R"("step": 3, "other": {)"), "test")
                  .error()
                  .message,
              HasSubstr("other is not a key"));
}

TEST(EngineProfile, EveryBuiltinProfileLoadsUnderItsName) {
  ASSERT_FALSE(builtin_engine_profiles().empty());
  for (const std::string& name : builtin_engine_profiles()) {
    const auto profile = load_engine_profile(name);
    ASSERT_TRUE(profile.ok()) << profile.error().message;
    EXPECT_EQ(profile->name, name);
  }
}

TEST(EngineProfile, TheDefaultProfileHasTheSizesOfItsModel) {
  const auto profile = load_engine_profile(std::string(kDefaultEngineProfile));
  ASSERT_TRUE(profile.ok());
  EXPECT_EQ(profile->model, "Qwen/Qwen3-32B");
  EXPECT_EQ(profile->max_model_len, 131072u);
  EXPECT_EQ(profile->kv_blocks(), 23'297u);
  EXPECT_EQ(profile->max_num_seqs, 1024u);
  EXPECT_EQ(profile->max_num_batched_tokens, 8192u);
}

TEST(EngineProfile, OtherNamesAreFiles) {
  const auto path = std::filesystem::path(testing::TempDir()) / "engine_profile_test.json";
  std::ofstream(path) << kProfile;
  const auto profile = load_engine_profile(path.string());
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  EXPECT_EQ(profile->name, "small");
}

TEST(EngineProfile, AMissingFileIsAnErrorThatListsTheBuiltinNames) {
  for (const char* name : {"/no/such/file", "/tmp", ""}) {
    const auto profile = load_engine_profile(name);
    ASSERT_FALSE(profile.ok());
    for (const std::string& builtin : builtin_engine_profiles()) {
      EXPECT_THAT(profile.error().message, HasSubstr(builtin));
    }
  }
}

}  // namespace
}  // namespace kvasir
