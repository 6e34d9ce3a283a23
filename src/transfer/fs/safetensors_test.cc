#include "transfer/fs/safetensors.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(Safetensors, AHeaderReadsBackAsItWasWritten) {
  SafeTensors about;
  about.tensors = {{"kv_cache", "F16", {8, 1, 4}, 0, 64}, {"b\"", "F32", {}, 64, 68}};
  about.metadata = {{"format", "pt"}, {"kvasir.xxh3", "\n"}};
  const std::string bytes = write_safetensors_header(about);
  EXPECT_EQ(bytes.size() % 8, 0u);
  const Result<size_t> size = safetensors_header_bytes(bytes);
  ASSERT_TRUE(size);
  ASSERT_EQ(*size, bytes.size() - 8);
  const Result<SafeTensors> read = parse_safetensors_header(std::string_view(bytes).substr(8));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(write_safetensors_header(*read), bytes);
  EXPECT_EQ(read->data_bytes, 68u);
  EXPECT_EQ(*read->find_metadata("format"), "pt");
  EXPECT_EQ(read->find_metadata("none"), nullptr);
}

// As Python's safetensors 0.6 writes one tensor of float32.
TEST(Safetensors, ReadsWhatPythonWrites) {
  const Result<SafeTensors> read = parse_safetensors_header(
      R"({"kv_cache":{"dtype":"F32","shape":[32,2,128],"data_offsets":[0,32768]}}      )");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->tensors.front().shape, (std::vector<uint64_t>{32, 2, 128}));
}

TEST(Safetensors, APrefixSaysHowLongTheHeaderIs) {
  using std::string_literals::operator""s;
  EXPECT_EQ(*safetensors_header_bytes("\x08\1\0\0\0\0\0\0"s), 264u);
  for (const std::string& prefix :
       {""s, "\x08\0\0\0\0\0\0"s, "\0\0\0\0\0\0\0\0"s, "\1\0\0\0\0\0\0\0"s, "\1\0\x10\0\0\0\0\0"s,
        "\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    EXPECT_FALSE(safetensors_header_bytes(prefix));
  }
}

TEST(Safetensors, WhatIsNoSoundHeaderIsRefused) {
  const std::string deep(100'000, '[');
  for (const std::string& header : {
           std::string(""),
           std::string("[]"),
           std::string("{"),
           std::string("{} x"),
           deep,
           "{\"a\":" + deep + "}",
           std::string(R"({"a":1})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1]}})"),
           std::string(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,2]}})"),
           std::string(R"({"a":{"dtype":"X9","shape":[1],"data_offsets":[0,2]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":1,"data_offsets":[0,2]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1.5],"data_offsets":[0,2]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,3]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[2,0]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})"),
           std::string(
               R"({"a":{"dtype":"F16","shape":[9223372036854775807,4],"data_offsets":[0,0]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
                       R"("b":{"dtype":"F16","shape":[1],"data_offsets":[1,3]}})"),
           std::string(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
                       R"("a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})"),
           std::string(R"({"__metadata__":[]})"),
           std::string(R"({"__metadata__":{"format":1}})"),
       }) {
    EXPECT_FALSE(parse_safetensors_header(header)) << header.substr(0, 100);
  }
}

}  // namespace
}  // namespace kvasir
