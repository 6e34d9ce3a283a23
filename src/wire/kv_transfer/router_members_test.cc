#include "wire/kv_transfer/router_members.h"

#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

TEST(RouterMembers, AreToldApartFromAllOthers) {
  for (const std::string_view key : kOfRouters) EXPECT_TRUE(may_name_workers(key)) << key;
  EXPECT_TRUE(may_name_workers("vllm_xargs"));
  EXPECT_TRUE(may_name_workers("extra_args"));
  for (const char* key :
       {"", "model", "max_completion_tokens", "stream_options", "kv_transfer_param",
        "kv_transfer_params ", "temperature", "remote_hosts"}) {
    EXPECT_FALSE(may_name_workers(key)) << key;
  }
}

TEST(RouterMembers, AreSeenInWideLettersAndBehindEscapes) {
  const std::string body = R"({"prompt":"x","kv_transfer_params":{}})";
  std::string wide;
  for (const char letter : body) wide += letter, wide += '\0';
  EXPECT_TRUE(may_hide_workers(body));
  EXPECT_TRUE(may_hide_workers(wide));
  EXPECT_TRUE(may_hide_workers(R"({"\u006bv_transfer_params":1})"));
  EXPECT_FALSE(may_hide_workers(R"({"prompt":"x"})"));
  EXPECT_FALSE(may_hide_workers(""));
  EXPECT_FALSE(may_hide_workers("\x1f\x8b{\\u kv_transfer_params")) << "compressed";
  EXPECT_FALSE(may_hide_workers("--part\r\n\r\n{\\u kv_transfer_params")) << "no object";
  EXPECT_TRUE(may_hide_workers("\xff\xfe" + wide));
}

}  // namespace
}  // namespace kvasir
