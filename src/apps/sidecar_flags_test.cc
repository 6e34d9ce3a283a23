#include "apps/sidecar_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "apps/upstream_flags_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::IsEmpty;

struct UnderstoodSidecar {
  explicit UnderstoodSidecar(std::vector<std::string> arguments) {
    CLI::App app;
    add_sidecar_flags(app, flags);
    upstream = UpstreamFlags::add_to(app, sidecar_upstream_flags());
    arguments = without_empty_words(app, with_two_dashes(std::move(arguments)));
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& error) {
      refusal = error.what();
      return;
    }
    if (const Result<void> checked = upstream->check(); !checked) {
      refusal = checked.error().message;
    }
  }
  SidecarFlags flags;
  std::shared_ptr<UpstreamFlags> upstream;
  std::string refusal;
};

// As the tutorial writes them, but for what is not there yet.
TEST(SidecarFlags, OneDashOrTwo) {
  const UnderstoodSidecar tutorial(
      {"-port=9000", "-vllm-port=9001", "-connector=shared-storage", "-secure-proxy=false"});
  EXPECT_EQ(tutorial.refusal, "");
  EXPECT_EQ(tutorial.flags.port, 9000);
  EXPECT_EQ(tutorial.flags.model_server_port, 9001);
  const SidecarOptions options = sidecar_options(tutorial.flags).value();
  EXPECT_EQ(options.handoff.dialect, KvDialect::kSharedStorage);
  EXPECT_EQ(options.decoder.port, 9001);
  EXPECT_EQ(UnderstoodSidecar({"--port", "7"}).flags.port, 7);
  EXPECT_EQ(UnderstoodSidecar({"-port", "7"}).flags.port, 7);
}

// A switch has no value in the next word, so an empty one behind it is nobody's.
TEST(SidecarFlags, EmptyWordsOfChartsArePassedOver) {
  const UnderstoodSidecar understood({"", "-tracing", "", "", "--secure-proxy", "", "-port=7", "",
                                      "--pod-name", "", "--zap-devel", "", "-v", "5", ""});
  EXPECT_EQ(understood.refusal, "");
  EXPECT_TRUE(understood.flags.tracing);
  EXPECT_TRUE(understood.flags.tls.secure_proxy);
  EXPECT_EQ(understood.flags.port, 7);
  EXPECT_EQ(understood.flags.pod_name, "");
  EXPECT_EQ(understood.flags.zap.verbosity, "5");
  EXPECT_NE(UnderstoodSidecar({"-tracing", "word"}).refusal, "");
}

TEST(SidecarFlags, WhatIsNotThereIsRefusedByName) {
  for (const UpstreamFlag& flag : sidecar_upstream_flags()) {
    if (flag.effect == FlagEffect::kHonoured) continue;
    const std::string value = flag.is_switch ? "true" : flag.is_duration ? "7s" : "7";
    const UnderstoodSidecar understood({std::string(flag.name) + "=" + value});
    const bool refused = flag.effect == FlagEffect::kRefused;
    EXPECT_THAT(refused ? understood.refusal : understood.upstream->warning(),
                HasSubstr(flag.name.substr(2)))
        << flag.name;
    if (!refused) {
      EXPECT_THAT(understood.refusal, IsEmpty()) << flag.name;
    }
    if (flag.harmless.empty()) continue;
    const UnderstoodSidecar anyway({std::string(flag.name) + "=" + std::string(flag.harmless)});
    EXPECT_THAT(anyway.refusal + anyway.upstream->warning(), IsEmpty()) << flag.name;
  }
}

// What an honoured flag of upstream's changes. The two that hold others are tested with
// with_configuration().
TEST(SidecarFlags, WhatIsHonouredChangesSomething) {
  using Options = const SidecarOptions&;
  struct Effect {
    std::string value;
    std::function<bool(Options)> is_there;
  };
  const std::map<std::string_view, Effect> effects = {
      {"--port", {"9000", [](Options o) { return o.port == 9000; }}},
      {"--vllm-port", {"9001", [](Options o) { return o.decoder.port == 9001; }}},
      {"--model-server-port", {"9001", [](Options o) { return o.decoder.port == 9001; }}},
      {"--connector",
       {"mooncake", [](Options o) { return o.handoff.dialect == KvDialect::kMooncake; }}},
      {"--kv-connector",
       {"sglang", [](Options o) { return o.handoff.dialect == KvDialect::kSglang; }}},
      {"--data-parallel-size", {"4", [](Options o) { return o.data_parallel_size == 4; }}},
      {"--enable-prefiller-sampling", {"true", [](Options o) { return o.samples_prefillers; }}},
      {"--max-idle-conns-per-host",
       {"2", [](Options o) { return o.client.idle_connections == 2; }}},
      {"--prefill-max-retries",
       {"3", [](Options o) { return o.handoff.prefill_retries_most == 3; }}},
      {"--prefill-retry-backoff",
       {"50ms",
        [](Options o) {
          return o.handoff.prefill_retry_backoff == std::chrono::milliseconds(50);
        }}},
      {"--tracing", {"true", [](Options o) { return o.answer.trace; }}},
      {"--metrics-port", {"9090", [](Options o) { return o.metrics_port == 9090; }}},
      {"--mooncake-bootstrap-port",
       {"9998", [](Options o) { return o.handoff.mooncake_bootstrap_port == 9998; }}},
      {"--p2p-connector-port",
       {"7000", [](Options o) { return o.handoff.offloading_port == 7000; }}},
      {"--enable-p2p-pull", {"true", [](Options o) { return o.nixl_pulls; }}},
      {"--secure-proxy", {"false", [](Options o) { return !o.tls.serves; }}},
      {"--cert-path", {"/certs", [](Options o) { return o.tls.certificate_folder == "/certs"; }}},
      {"--enable-tls",
       {"prefiller,decoder", [](Options o) { return o.tls.to_prefillers && o.tls.to_decoder; }}},
      {"--prefiller-use-tls", {"true", [](Options o) { return o.tls.to_prefillers; }}},
      {"--decoder-use-tls", {"true", [](Options o) { return o.tls.to_decoder; }}},
      {"--tls-insecure-skip-verify", {"decoder", [](Options o) { return !o.tls.checks_decoder; }}},
      {"--prefiller-tls-insecure-skip-verify",
       {"true", [](Options o) { return !o.tls.checks_prefillers; }}},
      {"--decoder-tls-insecure-skip-verify",
       {"true", [](Options o) { return !o.tls.checks_decoder; }}},
  };
  // Those of the allowlist: AllowlistFlagsSayWhereTheListComesFrom.
  const std::set<std::string_view> of_the_allowlist = {
      "--enable-ssrf-protection", "--inference-pool", "--inference-pool-name",
      "--inference-pool-namespace", "--pool-group"};
  for (const UpstreamFlag& flag : sidecar_upstream_flags()) {
    const bool holds_others = flag.name.starts_with("--configuration");
    if (flag.effect != FlagEffect::kHonoured || holds_others) continue;
    if (of_the_allowlist.count(flag.name) > 0) continue;
    const auto effect = effects.find(flag.name);
    ASSERT_NE(effect, effects.end()) << flag.name;
    const UnderstoodSidecar without({});
    const UnderstoodSidecar with({std::string(flag.name) + "=" + effect->second.value});
    EXPECT_EQ(with.refusal, "") << flag.name;
    EXPECT_FALSE(effect->second.is_there(sidecar_options(without.flags).value())) << flag.name;
    EXPECT_TRUE(effect->second.is_there(sidecar_options(with.flags).value())) << flag.name;
  }
}

TEST(SidecarFlags, AllowlistFlagsSayWhereTheListComesFrom) {
  const auto settled = [](std::vector<std::string> arguments) {
    UnderstoodSidecar understood(std::move(arguments));
    EXPECT_EQ(understood.refusal, "");
    SidecarAllowlistFlags flags = understood.flags.allowlist;
    const Result<void> checked = settle_allowlist_flags(flags);
    return std::make_pair(flags, checked ? "" : checked.error().message);
  };
  const auto pool = settled({"--enable-ssrf-protection", "--inference-pool=llm/vllm",
                             "--pool-group=inference.networking.x-k8s.io"});
  EXPECT_EQ(pool.second, "");
  EXPECT_TRUE(pool.first.enabled);
  EXPECT_EQ(pool.first.inference_pool_name, "vllm");
  EXPECT_EQ(pool.first.inference_pool_namespace, "llm");
  EXPECT_EQ(pool.first.pool_group, "inference.networking.x-k8s.io");
  const auto older = settled({"-enable-ssrf-protection=true", "-inference-pool-name=vllm",
                              "-inference-pool-namespace=llm"});
  EXPECT_EQ(older.second, "");
  EXPECT_EQ(older.first.inference_pool_name, "vllm");
  // As the tutorial's deployment has it: the pool is named, whether it counts or not.
  EXPECT_EQ(settled({"--inference-pool=llm/vllm"}).second, "");
  setenv("INFERENCE_POOL_NAME", "of-the-pod", 1);
  EXPECT_EQ(settled({"--enable-ssrf-protection"}).first.inference_pool_name, "of-the-pod");
  unsetenv("INFERENCE_POOL_NAME");

  const std::pair<std::vector<std::string>, std::string> wrong[] = {
      {{"--enable-ssrf-protection"}, "needs to know the prefill workers"},
      {{"--allow-prefillers=10.0.0.1:8000"}, "need --enable-ssrf-protection"},
      {{"--enable-ssrf-protection", "--inference-pool=a", "--allow-prefillers-dns=b:1"},
       "leave all but one out"},
      {{"--enable-ssrf-protection", "--allow-prefillers=prefill-0:8000"}, "is a name"},
      {{"--enable-ssrf-protection", "--allow-prefillers=10.0.0.1"}, "--allow-prefillers"},
      {{"--enable-ssrf-protection", "--allow-prefillers-dns=nowhere"}, "--allow-prefillers-dns"},
      {{"--enable-ssrf-protection", "--inference-pool=a/b", "--inference-pool-name=c"},
       "both name the pool"},
      {{"--enable-ssrf-protection", "--inference-pool=a/B_"}, "--inference-pool"},
      {{"--enable-ssrf-protection", "--inference-pool=a", "--pool-group=x"}, "--pool-group"},
  };
  for (const auto& [arguments, why] : wrong) EXPECT_THAT(settled(arguments).second, HasSubstr(why));
}

TEST(SidecarFlags, PortsOfRanksDoNotMeet) {
  SidecarFlags flags;
  flags.port = 8000, flags.model_server_port = 8003, flags.data_parallel_size = 3;
  EXPECT_TRUE(sidecar_options(flags));
  flags.data_parallel_size = 4;
  EXPECT_THAT(sidecar_options(flags).error().message, HasSubstr("both 8003"));
  flags.data_parallel_size = 3;
  flags.metrics_port = 8002;
  EXPECT_THAT(sidecar_options(flags).error().message, HasSubstr("--metrics-port is 8002"));
  flags.metrics_port = 0;
  flags.model_server_port = 65534;
  EXPECT_THAT(sidecar_options(flags).error().message, HasSubstr("65536"));
}

TEST(SidecarFlags, P2pHasToKnowWhereThePodIs) {
  const UnderstoodSidecar without({"--kv-connector=p2p"});
  EXPECT_EQ(without.refusal, "");
  EXPECT_THAT(sidecar_options(without.flags).error().message, HasSubstr("--pod-ip"));
  const UnderstoodSidecar with({"--kv-connector=p2p", "--pod-ip=10.0.0.5", "--p2p-kv-port=21001"});
  EXPECT_EQ(sidecar_options(with.flags).value().p2p_port, 21001);
}

TEST(SidecarFlags, VariablesOfUpstreamCount) {
  setenv("MOONCAKE_BOOTSTRAP_PORT", "1234", 1);
  setenv("ENABLE_PREFILLER_SAMPLING", "true", 1);
  setenv("POD_IP", "10.0.0.5", 1);
  const UnderstoodSidecar understood({"--p2p-connector-port=7"});
  for (const char* name : {"MOONCAKE_BOOTSTRAP_PORT", "ENABLE_PREFILLER_SAMPLING", "POD_IP"}) {
    unsetenv(name);
  }
  EXPECT_EQ(understood.refusal, "");
  EXPECT_EQ(understood.flags.handoff.mooncake_port, 1234);
  EXPECT_TRUE(understood.flags.samples_prefillers);
  EXPECT_EQ(understood.flags.pod_ip, "10.0.0.5");
}

TEST(SidecarFlags, WrongOnesAreNamed) {
  EXPECT_THAT(UnderstoodSidecar({"--kv-connector=moriio"}).refusal, HasSubstr("--kv-connector"));
  EXPECT_THAT(UnderstoodSidecar({"--port=0"}).refusal, HasSubstr("--port"));
  SidecarFlags same;
  same.port = same.model_server_port = 8000;
  EXPECT_THAT(sidecar_options(same).error().message, HasSubstr("--model-server-port"));
}

// docs/SIDECAR.md has a row for each flag, and for no other.
TEST(SidecarFlags, TheTableInTheDocumentationIsThisOne) {
  const std::optional<std::string> found = documented_flags("SIDECAR.md");
  if (!found) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  EXPECT_EQ(*found, rows_of_flags(sidecar_upstream_flags()));
}

}  // namespace
}  // namespace kvasir
