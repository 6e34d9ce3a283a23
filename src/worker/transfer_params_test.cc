#include "worker/transfer_params.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(TransferParams, AreGivenAsTheyStand) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"a":1,"kv_transfer_params": {"x" : 18446744073709551615 } ,"b":2})",
       R"({"x" : 18446744073709551615 })"},
      {"\r\n {\"kv_transfer_params\":{\"x\":[{}]}}", R"({"x":[{}]})"},
      {R"({"kv_transfer_params":{"x":1},"kv_transfer_params":{"y":2}})", R"({"y":2})"},
      {R"({"kv_transfer_params":{"x":1},"kv_transfer_params":null})", ""},
      {R"({"kv_\u0074ransfer_params":{"x":1}})", R"({"x":1})"},
      {R"({"inner":{"kv_transfer_params":{"x":1}}})", ""},
      {R"({"kv_transfer_params":{}})", ""},
      {R"({"kv_transfer_params":[1]})", ""},
      {R"({"kv_transfer_params":)", ""},
      {"[]", ""},
      {"", ""},
  };
  for (const auto& [body, params] : cases) EXPECT_EQ(transfer_params_of(body), params) << body;
}

TEST(TransferParams, TellWhatThePrefillerFound) {
  const std::pair<const char*, std::optional<uint64_t>> cases[] = {
      {R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":64})", 64},
      {R"({"remote_prefill_cached_tokens":0,"do_remote_prefill":true})", 0},
      {R"({"do_remote_prefill":false,"remote_prefill_cached_tokens":64})", std::nullopt},
      {R"({"do_remote_decode":true,"remote_prefill_cached_tokens":64})", std::nullopt},
      {R"({"do_remote_prefill":true})", std::nullopt},
      {R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":null})", std::nullopt},
      {R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":"64"})", std::nullopt},
      {R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":6.4})", std::nullopt},
      {R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":-1})", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [params, tokens] : cases) {
    EXPECT_EQ(prefiller_cached_tokens(params), tokens) << params;
  }
}

}  // namespace
}  // namespace kvasir
