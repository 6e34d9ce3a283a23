#include "transfer/kv_transfer_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

KvTransferConfig read(std::string_view json) {
  const Result<KvTransferConfig> config = parse_kv_transfer_config(json);
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *config : KvTransferConfig{};
}

std::string error_of(std::string_view json) {
  const Result<KvTransferConfig> config = parse_kv_transfer_config(json);
  return config ? "none" : config.error().message;
}

std::string with_extra(std::string_view connector, std::string_view extra) {
  return std::string(R"({"kv_connector":")")
      .append(connector)
      .append(R"(","kv_role":"kv_both","kv_connector_extra_config":{)")
      .append(extra)
      .append("}}");
}

TEST(KvTransferConfig, ReadsTheLineOfEveryGuide) {
  const KvTransferConfig config = read(R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})");
  EXPECT_EQ(config.kind, KvTransferKind::kNixl);
  EXPECT_EQ(config.connector, "NixlConnector");
  EXPECT_EQ(config.role, "kv_both");
  EXPECT_EQ(config.engine_id, "");
  EXPECT_EQ(config.side_channel_port, 5600);
  EXPECT_EQ(config.lease, 30s);
  EXPECT_FALSE(config.recompute_on_failure);
  EXPECT_EQ(config.link.gb_per_s, 0);
  EXPECT_THAT(config.without_effect, IsEmpty());
}

TEST(KvTransferConfig, KnowsTheConnectorsByAllTheirNames) {
  const std::pair<const char*, KvTransferKind> cases[] = {
      {"NixlConnector", KvTransferKind::kNixl},
      {"NixlPullConnector", KvTransferKind::kNixl},
      {"P2pNcclConnector", KvTransferKind::kP2p},
      {"ExampleConnector", KvTransferKind::kFs},
      {"SharedStorageConnector", KvTransferKind::kFs},
      {"LMCacheConnectorV1", KvTransferKind::kLmcache},
  };
  for (const auto& [name, kind] : cases) {
    const KvTransferConfig config = read(with_extra(name, ""));
    EXPECT_EQ(config.kind, kind) << name;
    EXPECT_EQ(config.connector, name);
  }
}

TEST(KvTransferConfig, RefusesOtherConnectorsOfVllmByName) {
  for (const char* name : {"MultiConnector", "MooncakeConnector", "OffloadingConnector",
                           "MoRIIOConnector", "NixlPushConnector", "LMCacheMPConnector", "nixl"}) {
    const std::string error = error_of(with_extra(name, ""));
    EXPECT_THAT(error, HasSubstr("kv_connector: '" + std::string(name) + "'"));
    EXPECT_THAT(error, HasSubstr("NixlConnector, NixlPullConnector, P2pNcclConnector"));
  }
}

TEST(KvTransferConfig, ReadsAllMembersOfVllm) {
  const KvTransferConfig config = read(R"({"kv_connector":"NixlConnector","kv_role":"kv_consumer",
      "engine_id":"e-1","kv_load_failure_policy":"recompute","kv_buffer_device":"cpu",
      "kv_connector_module_path":null,"enable_permute_local_kv":false,
      "kv_connector_extra_config":{"kv_lease_duration":12,"enforce_handshake_compat":false}})");
  EXPECT_EQ(config.role, "kv_consumer");
  EXPECT_EQ(config.engine_id, "e-1");
  EXPECT_TRUE(config.recompute_on_failure);
  EXPECT_EQ(config.lease, 12s);
  EXPECT_FALSE(config.enforce_handshake_compat);
  EXPECT_THAT(config.without_effect, IsEmpty());
}

TEST(KvTransferConfig, ReadsNumbersThatGuidesWriteAsTexts) {
  const KvTransferConfig config = read(R"({"kv_connector":"P2pNcclConnector",
      "kv_role":"kv_producer","kv_ip":"10.0.0.1","kv_buffer_size":"1e1","kv_port":"21001",
      "kv_connector_extra_config":{"proxy_ip":"10.0.1.1","proxy_port":"30001","http_port":"20001",
      "send_type":"GET","addresses":{"vllm-decode-p2p:14579":"127.0.0.1:7000"}}})");
  EXPECT_EQ(config.kv_ip, "10.0.0.1");
  EXPECT_EQ(config.kv_port, 21001);
  EXPECT_EQ(config.kv_buffer_bytes, 10u);
  EXPECT_EQ(config.proxy, "10.0.1.1:30001");
  EXPECT_EQ(config.http_port, 20001);
  EXPECT_EQ(config.send_type, KvTransferConfig::SendType::kGet);
  EXPECT_EQ(config.addresses.at("vllm-decode-p2p:14579").port, 7000);
}

TEST(KvTransferConfig, ReadsWhatTheStoresNeed) {
  const KvTransferConfig fs = read(with_extra(
      "ExampleConnector",
      R"("shared_storage_path":"/kv_cache","layout":"kvasir","max_bytes":1000,"ttl_seconds":2.5)"));
  EXPECT_EQ(fs.shared_storage_path, "/kv_cache");
  EXPECT_TRUE(fs.fs_safe);
  EXPECT_EQ(fs.fs_bytes_max, 1000u);
  EXPECT_EQ(fs.fs_ttl, 2500ms);
  const KvTransferConfig lmcache =
      read(with_extra("LMCacheConnectorV1", R"("remote_url":"redis://127.0.0.1:6379")"));
  EXPECT_EQ(lmcache.remote_url, "redis://127.0.0.1:6379");
}

TEST(KvTransferConfig, ReadsOurOwnMembersForEveryConnector) {
  const KvTransferConfig config = read(with_extra(
      "ExampleConnector",
      R"("link_gb_per_s":300,"link_latency_ms":0.5,"compression":"int8","pipelining":true)"));
  EXPECT_EQ(config.link.gb_per_s, 300);
  EXPECT_EQ(config.link.latency, std::chrono::microseconds(500));
  EXPECT_TRUE(config.compress);
  EXPECT_TRUE(config.pipelining);
  EXPECT_TRUE(read(with_extra("NixlConnector", R"("transport":"shm")")).transport ==
              KvTransferConfig::Transport::kShm);
}

TEST(KvTransferConfig, HonoursTheTutorialsMembersOrSaysThatItDoesNot) {
  const KvTransferConfig config = read(with_extra(
      "NixlConnector",
      R"("compressionEnabled":true,"rdmaEnabled":true,"sideChannelPortRange":"5555-5556")"));
  EXPECT_TRUE(config.compress);
  EXPECT_EQ(config.side_channel_port, 5555);
  EXPECT_THAT(config.without_effect,
              ElementsAre(HasSubstr("sideChannelPortRange: a worker has one"),
                          HasSubstr("rdmaEnabled: the bytes go over TCP")));
  EXPECT_THAT(read(with_extra("NixlConnector", R"("rdmaEnabled":false)")).without_effect,
              IsEmpty());
}

TEST(KvTransferConfig, SaysWhichMembersNothingReads) {
  const KvTransferConfig config = read(R"({"kv_connector":"NixlConnector","kv_role":"kv_both",
      "kv_rank":0,"kv_parallel_size":2,"kv_port":14579,"kv_buffer_device":"cuda",
      "kv_connector_extra_config":{"backends":["UCX"],"shared_storage_path":"/tmp",
      "some_python_thing":{"a":[1,2]}}})");
  EXPECT_THAT(
      config.without_effect,
      ElementsAre(HasSubstr("kv_port: only P2pNcclConnector"), HasSubstr("kv_rank: "),
                  HasSubstr("kv_parallel_size: "), HasSubstr("kv_buffer_device: "),
                  HasSubstr("backends: "), "shared_storage_path: NixlConnector does not read it",
                  "some_python_thing: nothing here reads it"));
}

TEST(KvTransferConfig, AnErrorNamesTheMember) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"{}", "kv_connector is missing"},
      {R"({"kv_connector":null,"kv_role":"kv_both"})", "kv_connector is missing"},
      {R"({"kv_connector":"NixlConnector"})", "kv_role is missing"},
      {R"({"kv_connector":"NixlConnector","kv_role":"both"})", "kv_role is 'both'"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","kv_roles":1})",
       "unknown member 'kv_roles'; did you mean 'kv_role'?"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","kv_role":"kv_both"})",
       "the key 'kv_role' stands twice"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","link_gb_per_s":1})",
       "'link_gb_per_s'; it belongs into kv_connector_extra_config"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_extra_config":[]})",
       "kv_connector_extra_config is not an object"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","kv_load_failure_policy":"x"})",
       "kv_load_failure_policy is 'x'"},
      {R"({"kv_connector":"NixlConnector","kv_role":"kv_both","kv_connector_module_path":"a.b"})",
       "kv_connector_module_path names a Python module"},
      {R"({"kv_connector":"P2pNcclConnector","kv_role":"kv_both","kv_port":65536})",
       "kv_port is not a whole number from 1 to 65535"},
      {R"({"kv_connector":"P2pNcclConnector","kv_role":"kv_both","kv_buffer_size":"8 GB"})",
       "kv_buffer_size is not a whole number"},
      {with_extra("NixlConnector", R"("kv_lease_duration":0)"),
       "kv_lease_duration must be above 0"},
      {with_extra("NixlConnector", R"("kv_lease_duration":"30")"), "kv_lease_duration must be"},
      {with_extra("NixlConnector", R"("transport":"rdma")"), "transport is 'rdma'"},
      {with_extra("NixlConnector", R"("sideChannelPortRange":"5556-5555")"),
       "sideChannelPortRange is not a range of ports"},
      {with_extra("NixlConnector", R"("link_gb_per_second":1)"), "did you mean 'link_gb_per_s'?"},
      {with_extra("NixlConnector", R"("link_gb_per_s":-1)"), "link_gb_per_s is out of range"},
      {with_extra("NixlConnector", R"("compression":"int4")"), "compression is 'int4'"},
      {with_extra("NixlConnector", R"("compression":"int8","compressionEnabled":false)"),
       "compressionEnabled contradicts"},
      {with_extra("P2pNcclConnector", R"("proxy_ip":"10.0.0.1")"), "proxy_port is missing"},
      {with_extra("P2pNcclConnector", R"("send_type":"POST")"), "send_type is 'POST'"},
      {with_extra("P2pNcclConnector", R"("addresses":["a:1"])"), "addresses is no map"},
      {with_extra("P2pNcclConnector", R"("addresses":{"a:1":"b"})"),
       "addresses has 'b' for 'a:1', which is not HOST:PORT"},
      {with_extra("ExampleConnector", R"("layout":"lmcache")"), "layout is 'lmcache'"},
  };
  for (const auto& [json, message] : cases) EXPECT_THAT(error_of(json), HasSubstr(message)) << json;
}

}  // namespace
}  // namespace kvasir
