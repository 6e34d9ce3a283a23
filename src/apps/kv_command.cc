#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/commands.h"
#include "apps/duration_flag.h"
#include "apps/number_checks.h"
#include "base/whole_file.h"
#include "bench/http_fetch.h"
#include "kvindex/chain_index.h"
#include "kvindex/index_snapshot.h"
#include "kvmanager/snapshot.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

constexpr size_t kDumpBytesMax = size_t{16} << 30;

struct KvFlags {
  std::string url;
  std::string file;
  std::string output;
  double interval_s = 1;
  double timeout_s = 60;
  uint64_t count = 0;  // 0: until Ctrl-C
  bool json = false;
};

Result<std::string> fetch_from_manager(const KvFlags& flags, const std::string& path) {
  const Result<HostPort> origin = parse_http_origin(flags.url);
  if (!origin) return origin.error();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return loop.error();
  SystemResolver resolver;
  Result<HttpAnswer> answer = fetch(**loop, resolver, *origin, path, from_seconds(flags.timeout_s));
  if (!answer) return Error{flags.url + ": " + answer.error().message};
  const int status = answer->head.status();
  if (status == kHttpOk) return std::move(answer->body);
  // A manager always has these.
  return Error{flags.url + " answers " + std::to_string(status) + " to " + path +
               ": it is not a KV-cache manager (kvasir kv-cache-manager)"};
}

int run_dump(const KvFlags& flags) {
  const Result<std::string> bytes = fetch_from_manager(flags, "/api/v1/cache/dump");
  if (!bytes) return fail_command("kv dump", 1, bytes.error().message);
  const Result<KvSnapshot> snapshot = read_snapshot(*bytes);
  if (!snapshot) return fail_command("kv dump", 1, flags.url + ": " + snapshot.error().message);
  const Result<void> written = replace_file(flags.output, *bytes);
  if (!written) return fail_command("kv dump", 1, written.error().message);
  std::cout << "what is known of " << snapshot->sources.size() << " publishers, " << bytes->size()
            << " bytes, in " << flags.output << "\n";
  return 0;
}

// What a file has for a manager that begins with it.
int run_load(const KvFlags& flags) {
  const Result<std::string> bytes = read_whole_file(flags.file, kDumpBytesMax);
  if (!bytes) return fail_command("kv load", 1, bytes.error().message);
  const Result<KvSnapshot> snapshot = read_snapshot(*bytes);
  if (!snapshot) return fail_command("kv load", 1, flags.file + ": " + snapshot.error().message);
  BlockIndexOptions options;
  options.holders_max = snapshot->holders.size() + 1;
  options.memory_bytes_max = kDumpBytesMax;
  ChainIndex index(options);
  std::map<std::string, HolderId, std::less<>> holders;
  for (size_t i = 0; i < snapshot->holders.size(); ++i) {
    holders[std::to_string(i)] = index.add_holder().value_or(HolderId{});
  }
  const Result<RestoredSnapshot> restored =
      restore_snapshot(snapshot->blocks, index, [&](std::string_view name) {
        const auto found = holders.find(name);
        return found == holders.end() ? std::nullopt : std::optional(found->second);
      });
  if (!restored) return fail_command("kv load", 1, flags.file + ": " + restored.error().message);
  std::vector<uint64_t> blocks(snapshot->sources.size());
  for (size_t i = 0; i < snapshot->holders.size(); ++i) {
    blocks[snapshot->holders[i].source] += index.blocks_of(holders.at(std::to_string(i)));
  }
  std::cout << "POD                                      RANK      BLOCKS  UP TO MESSAGE\n";
  for (size_t i = 0; i < blocks.size(); ++i) {
    const KvSnapshot::Source& source = snapshot->sources[i];
    char line[256];
    std::snprintf(line, sizeof line, "%-40s %4u %11llu  ", source.pod.c_str(), source.rank,
                  static_cast<unsigned long long>(blocks[i]));
    // An engine that never published has no position, and no blocks that could be of use.
    const char* const without = blocks[i] == 0 ? "none yet" : "unknown: it will be left out";
    std::cout << line
              << (source.position ? std::to_string(source.position->number) : std::string(without))
              << "\n";
  }
  std::cout << "The file is whole. Begin with it: kvasir kv-cache-manager --load " << flags.file
            << " ...\n";
  return 0;
}

std::string cell_of(const nlohmann::json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return value.dump();
  char text[32];
  std::snprintf(text, sizeof text, value.is_number_integer() ? "%.0f" : "%.3g",
                value.get<double>());
  return text;
}

std::string watch_table(const nlohmann::json& answer, double stored_s, double evicted_s) {
  char line[320];
  std::snprintf(line, sizeof line, "blocks stored %.0f/s, evicted %.0f/s\n", stored_s, evicted_s);
  std::string table = line;
  std::snprintf(line, sizeof line, "%-40s %-8s %10s %8s %8s %10s %8s\n", "POD", "STATUS", "BLOCKS",
                "FULL", "HITS", "EVICTED/s", "SILENT s");
  table.append(line);
  for (const nlohmann::json& pod : answer.value("pods", nlohmann::json::array())) {
    const auto cell = [&](const char* key) {
      const auto found = pod.find(key);
      return found == pod.end() ? std::string("-") : cell_of(*found);
    };
    std::snprintf(line, sizeof line, "%-40s %-8s %10s %8s %8s %10s %8s\n", cell("pod_id").c_str(),
                  cell("status").c_str(), cell("blocks_cached").c_str(),
                  cell("cache_utilization").c_str(), cell("hit_rate").c_str(),
                  cell("eviction_rate_per_sec").c_str(), cell("seconds_since_last_event").c_str());
    table.append(line);
  }
  return table;
}

int run_watch(const KvFlags& flags) {
  double stored = -1;
  double evicted = -1;
  for (uint64_t round = 0; flags.count == 0 || round < flags.count; ++round) {
    if (round > 0) std::this_thread::sleep_for(from_seconds(flags.interval_s));
    const Result<std::string> body = fetch_from_manager(flags, "/api/v1/cache/pods");
    if (!body) return fail_command("kv watch", 1, body.error().message);
    const nlohmann::json answer = nlohmann::json::parse(*body, nullptr, false);
    if (!answer.is_object() || !answer.contains("pods")) {
      return fail_command("kv watch", 1, flags.url + " is not a KV-cache manager");
    }
    if (flags.json) {
      std::cout << answer.dump() << std::endl;
      continue;
    }
    const double now_stored = answer.value("blocks_stored", 0.0);
    const double now_evicted = answer.value("blocks_evicted", 0.0);
    const auto rate = [&](double now, double before) {
      return before < 0 ? 0 : std::max(0.0, now - before) / flags.interval_s;
    };
    std::cout << watch_table(answer, rate(now_stored, stored), rate(now_evicted, evicted))
              << std::endl;
    stored = now_stored;
    evicted = now_evicted;
  }
  return 0;
}

void add_url(CLI::App& command, KvFlags& flags) {
  command.add_option("url", flags.url, "A running manager")
      ->type_name("http://HOST:PORT")
      ->default_val("http://127.0.0.1:8080");
  add_seconds_flag(command, "--timeout", flags.timeout_s, "What an answer may take")
      ->check(above_zero());
}

}  // namespace

void add_kv_command(CLI::App& app, int& exit_code) {
  CLI::App* kv = app.add_subcommand("kv", "Look into a running KV-cache manager");
  kv->require_subcommand(1);
  kv->footer("Start here: kvasir kv watch http://localhost:8080");
  auto flags = std::make_shared<KvFlags>();
  CLI::App* dump = kv->add_subcommand("dump", "Write what a manager knows to a file");
  add_url(*dump, *flags);
  dump->add_option("-o,--output", flags->output, "The file")->default_val("kv.snapshot");
  dump->callback([flags, &exit_code] { exit_code = run_dump(*flags); });
  CLI::App* load = kv->add_subcommand(
      "load",
      "Check a file of `kv dump` or --snapshot, and say what a manager that begins with it "
      "knows");
  load->add_option("file", flags->file, "The file")->required();
  load->callback([flags, &exit_code] { exit_code = run_load(*flags); });
  CLI::App* watch = kv->add_subcommand("watch", "Show pods, their blocks and events as they come");
  add_url(*watch, *flags);
  add_seconds_flag(*watch, "--interval", flags->interval_s, "Between two looks")
      ->check(above_zero());
  watch->add_option("--count", flags->count, "So many looks; 0: until Ctrl-C")
      ->capture_default_str();
  watch->add_flag("--json", flags->json, "One JSON object a look instead of a table");
  watch->callback([flags, &exit_code] { exit_code = run_watch(*flags); });
}

}  // namespace kvasir
