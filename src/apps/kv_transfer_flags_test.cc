// How a worker is told to move KV blocks: by vLLM's flag and variables.
#include "apps/kv_transfer_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace kvasir {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class KvTransferFlagsTest : public testing::Test {
 protected:
  void SetUp() override { forget_variables(); }
  void TearDown() override { forget_variables(); }

  static void forget_variables() {
    for (const char* name : {"VLLM_NIXL_SIDE_CHANNEL_HOST", "VLLM_NIXL_SIDE_CHANNEL_PORT",
                             "VLLM_NIXL_ABORT_REQUEST_TIMEOUT", "UCX_TLS", "UCX_NET_DEVICES",
                             "LMCACHE_REMOTE_URL", "LMCACHE_CHUNK_SIZE"}) {
      unsetenv(name);
    }
  }
  static KvTransferConfig options(const std::string& connector) {
    const auto read = kv_transfer_options(
        {R"({"kv_connector":")" + connector + R"(","kv_role":"kv_both"})", std::nullopt});
    EXPECT_TRUE(read.ok() && *read);
    return read.ok() && *read ? **read : KvTransferConfig{};
  }
};

TEST_F(KvTransferFlagsTest, NothingTravelsUnlessAskedFor) {
  const auto options = kv_transfer_options({});
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->has_value());
}

TEST_F(KvTransferFlagsTest, TheSideChannelsVariablesAreVllms) {
  EXPECT_EQ(options("NixlConnector").side_channel_port, 5600);
  EXPECT_EQ(kv_transfer_warning(options("NixlConnector")), "");
  setenv("VLLM_NIXL_SIDE_CHANNEL_HOST", "10.0.0.7", 1);
  setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", "5557", 1);
  EXPECT_THAT(kv_transfer_warning(options("NixlConnector")), HasSubstr("10.0.0.7:5557"));
  EXPECT_EQ(kv_transfer_warning(options("ExampleConnector")), "");
  const KvTransferConfig config = options("NixlConnector");
  EXPECT_EQ(config.side_channel_host, "10.0.0.7");
  EXPECT_EQ(config.side_channel_port, 5557);
  EXPECT_THAT(config.without_effect, IsEmpty());
  setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", "zmq", 1);
  const auto refused =
      kv_transfer_options({R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})", {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "VLLM_NIXL_SIDE_CHANNEL_PORT: 'zmq' is not a port");
}

TEST_F(KvTransferFlagsTest, EachRankHasASideChannelOfItsOwn) {
  const KvTransferFlags flags{R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})", {}};
  EXPECT_EQ((*kv_transfer_options(flags, 3))->side_channel_port, 5603);
  EXPECT_EQ(describe(**kv_transfer_options(flags, 3)),
            "KV transfer by NixlConnector: NIXL side channel at localhost:5603, blocks over TCP");
  setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", "65535", 1);
  EXPECT_FALSE(kv_transfer_options(flags, 1).ok());
}

TEST_F(KvTransferFlagsTest, TheRedisIsNamedWithoutItsPassword) {
  setenv("LMCACHE_REMOTE_URL", "redis://me:secret@store:6380/2", 1);
  const KvTransferFlags flags{R"({"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"})", {}};
  EXPECT_EQ(describe(**kv_transfer_options(flags, 0)),
            "KV transfer by LMCacheConnectorV1 in the Redis at store:6380/2");
}

TEST_F(KvTransferFlagsTest, OtherVariablesOfTheTransportAreNamed) {
  setenv("UCX_TLS", "rc,cuda_copy", 1);
  setenv("UCX_NET_DEVICES", "mlx5_0:1", 1);
  setenv("VLLM_NIXL_ABORT_REQUEST_TIMEOUT", "480", 1);
  EXPECT_THAT(options("NixlConnector").without_effect,
              UnorderedElementsAre("UCX_TLS: nothing here reads it",
                                   "UCX_NET_DEVICES: nothing here reads it",
                                   HasSubstr("VLLM_NIXL_ABORT_REQUEST_TIMEOUT: a lease")));
  EXPECT_THAT(options("ExampleConnector").without_effect, IsEmpty());
}

TEST_F(KvTransferFlagsTest, LmcachesVariableNamesTheStore) {
  setenv("LMCACHE_REMOTE_URL", "redis://127.0.0.1:6379", 1);
  setenv("LMCACHE_CHUNK_SIZE", "256", 1);
  const KvTransferConfig config = options("LMCacheConnectorV1");
  EXPECT_EQ(config.remote_url, "redis://127.0.0.1:6379");
  EXPECT_THAT(config.without_effect,
              UnorderedElementsAre("LMCACHE_CHUNK_SIZE: nothing here reads it"));
}

TEST_F(KvTransferFlagsTest, AnErrorNamesTheFlag) {
  const auto refused = kv_transfer_options({R"({"kv_connector":"MultiConnector"})", {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              HasSubstr("--kv-transfer-config: kv_connector: 'MultiConnector' is not there"));
}

TEST_F(KvTransferFlagsTest, ConnectorsThatNobodySimulatesAreTakenOut) {
  const auto taken_out = [](const std::string& config) {
    KvTransferFlags flags{config, {}};
    const std::string why = take_out_unsimulated(flags);
    return std::make_pair(flags.kv_transfer_config, why);
  };
  const std::string nixl = R"({"kv_connector":"NixlConnector", "kv_role":"kv_both"})";
  EXPECT_EQ(taken_out(nixl), std::make_pair(nixl, std::string()));
  EXPECT_EQ(taken_out("").second, "");
  const auto multi =
      taken_out(R"({"kv_connector":"MultiConnector","kv_connector_extra_config":{"connectors":[)"
                R"({"kv_connector":"OffloadingConnector"},)" +
                nixl + "]}}");
  EXPECT_EQ(multi.first, nixl);
  EXPECT_THAT(multi.second, HasSubstr("only \"NixlConnector\""));
  for (const char* none :
       {R"({"kv_connector":"MooncakeConnector"})", R"({"kv_connector":"LMCacheConnectorV1"})",
        R"({"kv_connector":"MultiConnector","kv_connector_extra_config":{"connectors":[]}})"}) {
    const auto [config, why] = taken_out(none);
    EXPECT_EQ(config, "") << none;
    EXPECT_THAT(why, HasSubstr("no KV travels")) << none;
  }
  // A slip of the pen is refused, not taken out.
  EXPECT_EQ(taken_out(R"({"kv_connector":"NixlConector"})").second, "");
  EXPECT_EQ(taken_out("no JSON").second, "");
}

TEST_F(KvTransferFlagsTest, BlocksHaveBytesWhenAskedForOrWhenTheyTravel) {
  const std::string config = "{}";
  EXPECT_EQ(*kv_bytes_scale({}), 0u);
  EXPECT_EQ(*kv_bytes_scale({"", 256}), 256u);
  EXPECT_EQ(*kv_bytes_scale({"", 0}), 0u);
  EXPECT_EQ(*kv_bytes_scale({config, std::nullopt}), kKvScale);
  EXPECT_EQ(*kv_bytes_scale({config, 64}), 64u);
  const Result<uint32_t> refused = kv_bytes_scale({config, 0});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("--kv-bytes 0"));
}

}  // namespace
}  // namespace kvasir
