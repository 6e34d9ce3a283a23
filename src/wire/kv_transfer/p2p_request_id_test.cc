#include "wire/kv_transfer/p2p_request_id.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

constexpr std::string_view kUnique = "0123456789abcdef0123456789abcdef";

// Vector T11.
TEST(P2pRequestId, BothWorkersFindEachOther) {
  for (const std::string_view host : {"10.0.0.1", "vllm-prefill-p2p", "a_b"}) {
    const std::string prefill = std::string(host) + ":14579";
    const std::string id = p2p_request_id(prefill, "vllm-decode-p2p:21002", kUnique);
    for (const std::string& seen :
         {id, "cmpl-" + id + "-0", "chatcmpl-" + id, "cmpl-" + id + "-0-a74a7b4a"}) {
      EXPECT_EQ(p2p_prefill_address(seen), (P2pAddress{std::string(host), 14579})) << seen;
      EXPECT_EQ(p2p_decode_address(seen), (P2pAddress{"vllm-decode-p2p", 21002})) << seen;
    }
    EXPECT_EQ(p2p_pair(id)->prefill, prefill);
    EXPECT_EQ(p2p_pair(id)->decode, "vllm-decode-p2p:21002");
    EXPECT_EQ(p2p_pair(id)->unique, kUnique);
  }
  EXPECT_EQ(p2p_request_id("a:1", "b:2", "u"), "___prefill_addr_a:1___decode_addr_b:2_u");
}

TEST(P2pRequestId, BothWorkersFindTheSameKeyWhateverTheirEnginesAdd) {
  for (const std::string_view unique :
       {kUnique, std::string_view("01234567-89ab-cdef-0123-456789abcdef"), std::string_view("7")}) {
    const std::string id = p2p_request_id("a_b:1", "c:2", unique);
    for (const std::string& seen :
         {id, "cmpl-" + id + "-0", "chatcmpl-" + id + "-a74a7b4a", "cmpl-" + id + "-0-a74a7b4a"}) {
      EXPECT_EQ(p2p_request_key(seen), id);
    }
  }
  EXPECT_EQ(p2p_request_key("cmpl-1"), std::nullopt);
  EXPECT_EQ(p2p_request_key(p2p_request_id("a", "b", "")), std::nullopt);
}

TEST(P2pRequestId, NamesWithoutPortsAreNoAddresses) {
  const std::string id = p2p_request_id("vllm-prefill-fs", "vllm-decode-fs", kUnique);
  EXPECT_EQ(p2p_prefill_address(id), std::nullopt);
  EXPECT_EQ(p2p_decode_address(id), std::nullopt);
  EXPECT_EQ(p2p_pair("cmpl-" + id)->prefill, "vllm-prefill-fs");
  EXPECT_EQ(p2p_pair("cmpl-" + id)->decode, "vllm-decode-fs");
}

TEST(P2pRequestId, WhatIsNoSuchIdGivesNothing) {
  for (const std::string_view id :
       {"", "cmpl-1234", "___prefill_addr_", "___decode_addr_:", "___prefill_addr_a:1___decode",
        "___decode_addr_a:x_u", "___prefill_addr_a:99999___", "___prefill_addr_a:0___"}) {
    EXPECT_EQ(p2p_decode_address(id), std::nullopt) << id;
    EXPECT_EQ(p2p_pair(id), std::nullopt) << id;
  }
  EXPECT_EQ(p2p_prefill_address("___prefill_addr_a:99999___"), std::nullopt);
  EXPECT_EQ(p2p_prefill_address("___prefill_addr_a:0___"), std::nullopt);
  const std::string padding(kP2pRequestIdBytesMax, 'x');
  EXPECT_EQ(p2p_decode_address("___decode_addr_a:1_" + padding), std::nullopt);
  EXPECT_EQ(p2p_prefill_address("___prefill_addr_[::1]:7___decode_addr_b:2_u"),
            (P2pAddress{"[::1]", 7}));
}

}  // namespace
}  // namespace kvasir
