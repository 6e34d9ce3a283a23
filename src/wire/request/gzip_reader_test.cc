#include "wire/request/gzip_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using Coding = ContentCoding;

constexpr int kGzip = 31, kZlib = 15, kBare = -15;

std::string packed(const std::string& text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string output(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  output.resize(stream.total_out);
  deflateEnd(&stream);
  return output;
}

std::string json_text(size_t numbers) {
  std::string text = R"({"model":"m","prompt":[)";
  for (size_t i = 0; i < numbers; ++i) text += std::to_string(i * 7919 % 100003) + ",";
  return text + "0]}";
}

TEST(ContentCoding, NamesAreKnownInAnyCase) {
  const struct {
    std::string_view text;
    Coding coding;
  } cases[] = {{"gzip", Coding::kGzip},
               {" GZip\t", Coding::kGzip},
               {"x-gzip", Coding::kGzip},
               {"deflate", Coding::kDeflate},
               {"identity", Coding::kIdentity},
               {"", Coding::kIdentity},
               {"br", Coding::kUnreadable},
               {"zstd", Coding::kUnreadable},
               {"gzip, gzip", Coding::kUnreadable},
               {"gzi", Coding::kUnreadable}};
  for (const auto& test : cases) EXPECT_EQ(content_coding(test.text), test.coding) << test.text;
}

TEST(InflateBody, OpensEveryFraming) {
  const std::string long_text = json_text(60000);
  for (const std::string& text : {std::string(), std::string("{}"), long_text}) {
    const struct {
      Coding coding;
      std::string body;
    } cases[] = {{Coding::kGzip, packed(text, kGzip)},
                 {Coding::kDeflate, packed(text, kZlib)},
                 {Coding::kDeflate, packed(text, kBare)},
                 {Coding::kIdentity, text}};
    for (const auto& test : cases) {
      const Result<std::string> opened = inflate_body(test.coding, test.body, {}, 64);
      ASSERT_TRUE(opened) << opened.error().message;
      EXPECT_EQ(*opened, text);
      EXPECT_GE(opened.value().capacity(), text.size() + 64);
    }
  }
}

TEST(InflateBody, JoinsTheMembersOfAGzipFile) {
  const std::string body = packed("one ", kGzip) + packed("", kGzip) + packed("two", kGzip);
  EXPECT_EQ(*inflate_body(Coding::kGzip, body), "one two");
  InflateLimits limits;
  limits.members = 2;
  EXPECT_THAT(inflate_body(Coding::kGzip, body, limits).error().message, HasSubstr("2 members"));
}

TEST(InflateBody, LimitsHoldToTheByte) {
  const std::string text = json_text(3000);
  const std::string body = packed(text, kGzip);
  InflateLimits limits;
  limits.output_bytes = text.size();
  EXPECT_TRUE(inflate_body(Coding::kGzip, body, limits));
  EXPECT_TRUE(inflate_body(Coding::kIdentity, text, limits));
  limits.output_bytes = text.size() - 1;
  EXPECT_THAT(inflate_body(Coding::kGzip, body, limits).error().message, HasSubstr("bytes"));
  EXPECT_FALSE(inflate_body(Coding::kIdentity, text, limits));
}

TEST(InflateBody, WhatUnfoldsTooFarIsRefused) {
  const std::string bomb = packed(std::string(8 * 1024 * 1024, 'a'), kGzip);
  EXPECT_THAT(inflate_body(Coding::kGzip, bomb).error().message, HasSubstr("200 times"));
  const std::string short_text(1000 * 1000, 'a');
  EXPECT_TRUE(inflate_body(Coding::kGzip, packed(short_text, kGzip)));
  InflateLimits limits;
  limits.ratio = 2000;
  EXPECT_TRUE(inflate_body(Coding::kGzip, bomb, limits));
}

TEST(InflateBody, DamageIsAnErrorInWords) {
  const std::string good = packed(json_text(500), kGzip);
  std::string flipped = good;
  flipped[good.size() / 2] ^= 0x55;
  std::string wrong_sum = good;
  wrong_sum[good.size() - 6] ^= 1;
  const struct {
    Coding coding;
    std::string body;
    const char* error;
  } cases[] = {
      {Coding::kGzip, "", "cut short"},
      {Coding::kDeflate, "", "cut short"},
      {Coding::kGzip, good.substr(0, good.size() - 1), "cut short"},
      {Coding::kGzip, good.substr(0, 5), "cut short"},
      {Coding::kGzip, "plain text", "damaged"},
      {Coding::kGzip, flipped, "damaged"},
      {Coding::kGzip, wrong_sum, "damaged"},
      {Coding::kGzip, good + "x", ""},
      {Coding::kGzip, good + "xy", "damaged"},
      {Coding::kDeflate, packed("a", kZlib) + "x", "follow"},
      {Coding::kDeflate, "\xff\xff", "damaged"},
      {Coding::kUnreadable, good, "cannot be read"},
  };
  for (const auto& test : cases) {
    const Result<std::string> opened = inflate_body(test.coding, test.body);
    ASSERT_FALSE(opened) << test.error;
    EXPECT_THAT(opened.error().message, HasSubstr(test.error));
  }
}

}  // namespace
}  // namespace kvasir
