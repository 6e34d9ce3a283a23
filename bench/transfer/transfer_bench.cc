// How fast KV blocks get from one worker to another, way by way, beside the same bytes with nothing
// around them. Contenders take turns; each line of the output is one round of one of them:
//   NAME BLOCK_BYTES GIGABYTES_PER_SECOND
// bench/transfer/run.py makes sense of them.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/integer_text.h"
#include "connector_pair.h"
#include "raw_copy.h"
#include "raw_store.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir::bench {
namespace {

struct Contender {
  std::string name;
  std::function<double()> seconds;  // of one transfer of all blocks
};

// The blocks of a transfer.
struct Load {
  uint32_t block_bytes = 0;
  uint32_t blocks = 0;

  size_t bytes() const { return size_t{block_bytes} * blocks; }
  KvLayout layout() const {
    KvLayout of;
    of.bytes_per_token = block_bytes / of.block_size;
    return of;
  }
};

Contender nixl(std::string name, const Load& load, KvTransferConfig::Transport transport,
               bool by_layers) {
  KvTransferConfig config;
  config.kind = KvTransferKind::kNixl;
  config.side_channel_port = 0;
  config.transport = transport;
  config.pipelining = by_layers;
  const bool shared = transport == KvTransferConfig::Transport::kShm;
  const std::string memory = "/kvasir-bench-" + std::to_string(getpid()) + "-" +
                             std::to_string(load.block_bytes) + "-" + name;
  const auto pair = std::make_shared<ConnectorPair>(config, config, load.layout(), load.blocks,
                                                    shared ? memory : "");
  return {std::move(name), [pair] { return pair->hand_over().fetch_seconds; }};
}

// PUT_ASYNC: from the offer until all blocks are there.
Contender p2p(const Load& load) {
  KvTransferConfig prefiller;
  prefiller.kind = KvTransferKind::kP2p;
  prefiller.role = "kv_producer";
  prefiller.kv_port = free_port();
  KvTransferConfig decoder = prefiller;
  decoder.role = "kv_consumer";
  decoder.kv_port = free_port();
  const auto pair = std::make_shared<ConnectorPair>(prefiller, decoder, load.layout(), load.blocks);
  const std::string addresses =
      "cmpl-" + p2p_request_id("127.0.0.1:" + std::to_string(prefiller.kv_port),
                               "127.0.0.1:" + std::to_string(decoder.kv_port), "");
  const auto number = std::make_shared<uint64_t>(0);
  return {"p2p",
          [=] { return pair->hand_over(addresses + std::to_string(++*number)).whole_seconds; }};
}

// Both ways of a store, whose times come from one transfer.
std::vector<Contender> store(const std::string& name, const std::string& save,
                             const std::string& load_name, const KvTransferConfig& config,
                             const Load& load, std::function<void()> clear) {
  const auto pair = std::make_shared<ConnectorPair>(config, config, load.layout(), load.blocks);
  const auto times = std::make_shared<ConnectorPair::Times>();
  return {{name + save,
           [=] {
             *times = pair->hand_over();
             clear();
             return times->offer_seconds;
           }},
          {name + load_name, [=] { return times->fetch_seconds; }}};
}

void add_fs(const Load& load, std::vector<Contender>& contenders) {
  const auto folder = std::make_shared<BenchFolder>();
  const auto bytes = std::make_shared<std::vector<std::byte>>(load.bytes(), std::byte{7});
  contenders.push_back({"write_fsync", [=] { return write_and_sync_seconds(*folder, *bytes); }});
  for (const bool safe : {false, true}) {
    KvTransferConfig config;
    config.kind = KvTransferKind::kFs;
    config.shared_storage_path = folder->path();
    config.fs_safe = safe;
    for (Contender& contender : store(safe ? "fs_kvasir" : "fs_vllm", "_store", "_load", config,
                                      load, [folder] { folder->clear(); })) {
      contenders.push_back(std::move(contender));
    }
  }
}

void add_lmcache(const Load& load, std::vector<Contender>& contenders) {
  if (!BenchRedis::installed()) {
    std::fprintf(stderr, "transfer_bench: lmcache is left out: redis-server is not installed\n");
    return;
  }
  const auto redis = std::make_shared<BenchRedis>();
  contenders.push_back(
      {"redis_set", [=] { return redis->set_seconds(load.blocks, load.block_bytes); }});
  contenders.push_back(
      {"redis_get", [=] { return redis->get_seconds(load.blocks, load.block_bytes); }});
  KvTransferConfig config;
  config.kind = KvTransferKind::kLmcache;
  config.remote_url = "redis://127.0.0.1:" + std::to_string(redis->port());
  for (Contender& contender :
       store("lmcache", "_set", "_get", config, load, [redis] { redis->clear(); })) {
    contenders.push_back(std::move(contender));
  }
}

// Each way and what it is held against.
std::vector<Contender> contenders_of(const Load& load) {
  using Transport = KvTransferConfig::Transport;
  const auto raw = std::make_shared<RawTcpCopy>(load.bytes());
  std::vector<Contender> contenders = {
      {"raw_tcp", [raw] { return raw->seconds(); }},
      nixl("nixl_tcp", load, Transport::kTcp, false),
      nixl("nixl_tcp_by_layers", load, Transport::kTcp, true),
      nixl("nixl_shm", load, Transport::kShm, false),
      p2p(load),
  };
  add_fs(load, contenders);
  add_lmcache(load, contenders);
  return contenders;
}

void run(const Load& load, uint32_t rounds, const std::vector<std::string>& only) {
  std::vector<Contender> contenders = contenders_of(load);
  std::erase_if(contenders, [&](const Contender& contender) {
    return !only.empty() && std::ranges::find(only, contender.name) == only.end();
  });
  for (uint32_t round = 0; round <= rounds; ++round) {
    for (const Contender& contender : contenders) {
      const double seconds = contender.seconds();
      if (round == 0) continue;  // pages, connections and handshakes are there from now on
      std::printf("%s %u %.3f\n", contender.name.c_str(), load.block_bytes,
                  static_cast<double>(load.bytes()) / seconds / 1e9);
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace kvasir::bench

int main(int count, char** arguments) {
  using kvasir::bench::give_up;
  uint32_t rounds = 11, megabytes = 64;
  std::vector<std::string> only;  // contenders; none: all
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::string_view(arguments[i]) == "--only") {
      only.push_back(arguments[i + 1]);
      continue;
    }
    const auto value = kvasir::integer_of<uint32_t>(arguments[i + 1]);
    if (!value || *value == 0) give_up(std::string(arguments[i]) + " wants a number");
    if (std::string_view(arguments[i]) == "--rounds") {
      rounds = *value;
    } else if (std::string_view(arguments[i]) == "--megabytes") {
      megabytes = *value;
    } else {
      give_up(std::string(arguments[i]) + " is not known: --rounds N --megabytes N --only NAME");
    }
  }
  // Of a worker by default, and with less of a scale.
  for (const uint32_t block_bytes : {4u << 10, 64u << 10}) {
    kvasir::bench::run({block_bytes, (megabytes << 20) / block_bytes}, rounds, only);
  }
  return 0;
}
