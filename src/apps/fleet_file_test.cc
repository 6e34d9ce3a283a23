#include "apps/fleet_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kPair[] = R"(engine-profile: qwen3-32b
time-scale: 10
kv-events: false
workers:
  prefill:
    count: 2
    role: prefill
    flags:
      kv-transfer-config: {kv_connector: NixlConnector, kv_role: kv_both, extra: {ports: [1, "{port.kv}"]}}
      block-size: 16
      enable-prefix-caching: true
      trust-remote-code: false
    variables: {VLLM_NIXL_SIDE_CHANNEL_PORT: "{port.side}", OMP_NUM_THREADS: 1}
  decode:
    role: decode
    labels: {rack: r1}
    flags: [--max-num-seqs, 8]
sidecars:
  front: {beside: decode, flags: {secure-proxy: false}}
pd-proxies:
  proxy:
    flags: {backend: fs, prefill: "{prefill.url}", decode: ["{decode.url}"]}
    labels: {role: proxy}
gateway:
  port: 0
  endpoints: [decode, proxy]
  flags: {header-route: "x-kv-backend=fs={proxy.url}"}
)";

FleetFile file_of(const std::string& text) {
  Result<FleetFile> file = read_fleet_file(text, "fleet.yaml", "/folder");
  EXPECT_TRUE(file.ok()) << file.error().message;
  return file ? *file : FleetFile{};
}

std::string problem_of(const std::string& text) {
  const Result<FleetFile> file = read_fleet_file(text, "fleet.yaml", "/folder");
  return file ? "" : file.error().message;
}

// Of a fleet with one worker, and these lines behind it.
std::string problem_beside_a_worker(const std::string& lines) {
  return problem_of("workers:\n  w: {}\n" + lines);
}

TEST(FleetFile, DescribesAWholeFleet) {
  const FleetFile file = file_of(kPair);
  EXPECT_EQ(file.engine_profile, "qwen3-32b");
  EXPECT_EQ(file.time_scale, 10);
  EXPECT_EQ(file.port, 0);
  EXPECT_FALSE(file.kv_events);
  ASSERT_THAT(file.fleet.groups, SizeIs(4));
  const FleetGroup& prefill = file.fleet.groups[0];
  EXPECT_EQ(prefill.about, "prefill worker");
  EXPECT_EQ(prefill.count, 2u);
  EXPECT_THAT(prefill.labels, ElementsAre(Pair("llm-d.ai/role", "prefill")));
  EXPECT_THAT(
      prefill.arguments,
      ElementsAre(
          R"(--kv-transfer-config={"kv_connector":"NixlConnector","kv_role":"kv_both","extra":{"ports":[1,"{port.kv}"]}})",
          "--block-size=16", "--enable-prefix-caching", "--no-trust-remote-code"));
  EXPECT_THAT(prefill.variables, ElementsAre(Pair("VLLM_NIXL_SIDE_CHANNEL_PORT", "{port.side}"),
                                             Pair("OMP_NUM_THREADS", "1")));
  EXPECT_THAT(file.fleet.groups[1].labels,
              ElementsAre(Pair("llm-d.ai/role", "decode"), Pair("rack", "r1")));
  EXPECT_THAT(file.fleet.groups[1].arguments, ElementsAre("--max-num-seqs", "8"));
  EXPECT_EQ(file.fleet.groups[2].beside, "decode");
  EXPECT_THAT(file.fleet.groups[2].arguments, ElementsAre("--secure-proxy=false"));
  EXPECT_THAT(file.fleet.groups[3].arguments,
              ElementsAre("--backend=fs", "--prefill={prefill.url}", "--decode={decode.url}"));
  EXPECT_THAT(file.fleet.endpoints, ElementsAre("decode", "proxy"));
  EXPECT_THAT(file.fleet.gateway.arguments,
              ElementsAre("--header-route=x-kv-backend=fs={proxy.url}"));
}

TEST(FleetFile, OneGroupOfWorkersIsEnough) {
  const FleetFile file = file_of("workers:\n  w:\n");
  EXPECT_EQ(file.port, 8000);
  EXPECT_TRUE(file.kv_events);
  EXPECT_THAT(file.fleet.groups[0].labels, IsEmpty());
  EXPECT_THAT(file.fleet.endpoints, ElementsAre("w"));
}

TEST(FleetFile, EveryProblemHasItsLineAndTheNearestName) {
  EXPECT_EQ(problem_of("worker:\n  w: {}\nworkers:\n  w:\n    rol: decode\n    count: many\n"),
            "fleet.yaml:2: the fleet: unknown key 'worker'; did you mean 'workers'?\n"
            "fleet.yaml:5: workers.w: unknown key 'rol'; did you mean 'role'?\n"
            "fleet.yaml:6: workers.w: count must be a whole number, not a text");
}

TEST(FleetFile, WhatIsWrongIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "workers is missing"},
      {"[]", "keys must be a map"},
      {"workers: 3", "workers must be a map"},
      {"workers: {}", "workers must be a map"},
      {"workers: {w: {role: prefil}}", "must be one of: prefill, decode, both"},
      {"workers: {W: {}}", "lower-case letters"},
      {"workers: {port: {}}", "this name is taken"},
      {"workers: {w: {count: 0}}", "count must be from 1 to 1000"},
      {"workers: {w: {count: 600}, v: {count: 600}}", "1000 processes at most"},
      {"workers: {w: {count: 2}, w-1: {}}", "two of the fleet are called 'w-1'"},
      {"workers: {w: {flags: {port: 1}}}", "port is said by"},
      {"workers: {w: {flags: [--time-scale=2]}}",
       "--time-scale is said by the same key at the top"},
      {"workers: {w: {flags: {--block-size: 1}}}", "write it without dashes"},
      {"workers: {w: {flags: {block-size: }}}", "block-size has no value"},
      {"workers: {w: {flags: 7}}", "must be a map, or a list of words"},
      {"workers: {w: {flags: [[x]]}}", "holds words"},
      {"workers: {w: {flags: {a: {w.url}}}}", "a must have quotes: \"{w.url}\""},
      {"workers: {w: {flags: {a: '{x.url}'}}}", "there is no 'x' in this fleet"},
      {"workers: {w: {variables: {A: [1]}}}", "A must be a text or a number"},
      {"workers: {w: {variables: {A: '{w.uri}'}}}", "{w.uri}: of a process"},
      {"workers: {w: {labels: {llm-d.ai/role: both}}}", "is what 'role' says"},
      {"time-scale: 0\nworkers: {w: {}}", "time-scale is out of range"},
  };
  for (const auto& [text, problem] : cases)
    EXPECT_THAT(problem_of(text), HasSubstr(problem)) << text;
}

TEST(FleetFile, WhatIsWrongBesideAWorkerIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"sidecars: {s: {beside: v}}", "beside must name the group of workers"},
      {"sidecars: {s: {beside: w, count: 2}}", "unknown key 'count'"},
      {"sidecars: {s: {beside: w, flags: {vllm-port: 1}}}",
       "is said by the sidecar's key 'beside'"},
      {"pd-proxies: {p: {role: decode}}", "unknown key 'role'"},
      {"gateway: {endpoints: [v]}", "names 'v', which is no group"},
      {"gateway: {endpoint: [w]}", "did you mean 'endpoints'?"},
      {"gateway: {config: none.yaml}", "config names no file: /folder/none.yaml"},
      {"gateway: {flags: {worker-urls: x}}",
       "worker-urls is said by the gateway's key 'endpoints'"},
      {"gateway: {port: 70000}", "port must be from 0 to 65535"},
  };
  for (const auto& [text, problem] : cases) {
    EXPECT_THAT(problem_beside_a_worker(text), HasSubstr(problem)) << text;
  }
}

TEST(FleetFile, AFolderHasItUnderItsName) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "fleet-file-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/fleet.yaml")
      << "workers: {w: {}}\nengine-profile: p.json\ngateway: {config: epp.yaml}\n";
  std::ofstream(folder + "/epp.yaml") << "plugins: []\n";
  std::ofstream(folder + "/p.json") << "{}\n";
  for (const std::string& path : {folder, folder + "/fleet.yaml"}) {
    const Result<FleetFile> file = load_fleet_file(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_THAT(file->fleet.gateway.arguments, ElementsAre("--config=" + folder + "/epp.yaml"));
    EXPECT_EQ(file->engine_profile, folder + "/p.json");
    EXPECT_EQ(file->fleet.folder, folder);
  }
  fs::remove_all(folder);
  EXPECT_THAT(load_fleet_file(folder).error().message, HasSubstr(folder));
}

}  // namespace
}  // namespace kvasir
