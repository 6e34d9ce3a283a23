#include "apps/kv_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "kvevents/event_address.h"
#include "serving/pool_options.h"
#include "tokens/model_tokenizers.h"

namespace kvasir {
namespace {

constexpr size_t kIndexBytesLeast = size_t{16} << 20;
constexpr size_t kIndexBytesMost = size_t{1} << 40;
constexpr const char* kEvents = "tcp://HOST:5557";
constexpr const char* kReplay = "tcp://HOST:5558";

// `checked`: of the address that the flag names.
Result<void> about(const char* flag, const Result<void>& checked) {
  if (checked) return {};
  return Error{std::string(flag) + ": " + checked.error().message};
}

}  // namespace

void add_kv_flags(CLI::App& command, KvKnowledgeFlags& flags, const std::string& engines) {
  command.add_option(
      "--kv-events", flags.events,
      "Listen to what the engines of the " + engines +
          " say of their KV caches, so that it\n"
          "is known what each holds, and not guessed. auto: at port 5557 of each, as vLLM\n"
          "publishes with --kv-events-config, with replays from port 5558; an address:\n"
          "elsewhere, as in tcp://HOST:5557 or ipc:///run/kv-PORT, where HOST and PORT stand\n"
          "for those of each; off: nowhere. Where nobody publishes the guess counts.\n"
          "(default: as a precise-prefix-cache-producer of the configuration says, else off)");
  command.add_option(
      "--kv-replay", flags.replay,
      "Where lost events are asked for (vLLM's replay_endpoint): an address as that of\n"
      "--kv-events, as tcp://HOST:5558; off: nowhere, so they are not made up for.\n"
      "(default: port 5558 with --kv-events auto, or as the configuration says, else nowhere)");
  command.add_option("--kv-topic", flags.topic,
                     "Hear only topics that begin with this (default: all)");
  command.add_option("--kv-bind", flags.bind,
                     "An address that engines connect to instead, as tcp://*:5557; their topics\n"
                     "say whose events they are: kv@HOST:PORT@MODEL");
  command
      .add_option("--kv-ranks", flags.ranks,
                  "Data-parallel ranks behind each of the " + engines +
                      "; each adds its number to the port")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      .add_option(
          "--kv-gap", flags.gap,
          "When lost events cannot be made up for: stale (the guess counts until the cache\n"
          "is known to be empty: a restart, an announced clear, a reset) or forget (what\n"
          "was known is forgotten, and what comes from then on is used)")
      ->check(CLI::IsMember({"stale", "forget"}))
      ->capture_default_str();
  command
      .add_option("--kv-index-memory", flags.index_bytes,
                  "What the index of all caches may take, as 512MiB or 2GiB; beyond it blocks\n"
                  "are not known")
      ->transform(CLI::AsSizeValue(false))
      ->default_str("1GiB");
  command.add_option("--tokenizer", flags.tokenizer,
                     "With KV events: a tokenizer.json for all models, or a folder with\n"
                     "MODEL/tokenizer.json, by which plain prompts become tokens here; others, as\n"
                     "conversations, are asked of the engines");
  command.add_flag("--engine-tokens,!--no-engine-tokens", flags.engine_tokens,
                   "With KV events: ask the engines (/v1/.../render, /tokenize) for the tokens of\n"
                   "prompts, at most 250 ms each, and remember them (default: on)");
}

std::string unused_kv_flags(const KvKnowledgeFlags& flags) {
  const KvKnowledgeFlags defaults;
  const std::pair<const char*, bool> given[] = {
      {"--kv-replay", flags.replay != defaults.replay},
      {"--kv-topic", flags.topic != defaults.topic},
      {"--kv-ranks", flags.ranks != defaults.ranks},
      {"--kv-gap", flags.gap != defaults.gap},
      {"--kv-index-memory", flags.index_bytes != defaults.index_bytes}};
  std::string unused;
  for (const auto& [flag, is_given] : given) {
    if (is_given) unused.append(unused.empty() ? "" : ", ").append(flag);
  }
  if (unused.empty()) return "";
  return unused +
         ": no effect, for nobody listens to KV events; --kv-events, --kv-bind or a "
         "precise-prefix-cache-producer in the configuration say where";
}

Result<void> read_kv_flags(const KvKnowledgeFlags& flags, PoolOptions& options) {
  Result<KvKnowledgeOptions> kv = kv_options(flags);
  if (!kv) return kv.error();
  options.kv = std::move(*kv);
  if (!flags.engine_tokens) options.tokens.ask = TokenSourceOptions::Ask::kNobody;
  if (flags.tokenizer.empty()) return {};
  Result<std::unique_ptr<ModelTokenizers>> tokenizers = ModelTokenizers::load(flags.tokenizer);
  if (!tokenizers) return Error{"--tokenizer: " + tokenizers.error().message};
  options.tokenizers = std::move(*tokenizers);
  return {};
}

Result<KvKnowledgeOptions> kv_options(const KvKnowledgeFlags& flags) {
  using Listen = KvKnowledgeOptions::Listen;
  KvKnowledgeOptions options;
  options.addresses.ranks = flags.ranks;
  options.topic = flags.topic;
  if (flags.gap == "forget") options.gap = KvGapPolicy::kForget;
  if (flags.index_bytes < kIndexBytesLeast || flags.index_bytes > kIndexBytesMost) {
    return Error{"--kv-index-memory: must be from 16MiB to 1TiB"};
  }
  options.index_bytes_max = flags.index_bytes;
  if (flags.events == "off") {
    options.listen = Listen::kNever;
  } else if (flags.events == "auto") {
    options.listen = Listen::kAlways;
    options.addresses.events = kEvents;
    options.addresses.replay = kReplay;
  } else if (!flags.events.empty()) {
    const auto checked = about("--kv-events", check_event_pattern(flags.events));
    if (!checked) return checked.error();
    options.listen = Listen::kAlways;
    options.addresses.events = flags.events;
  }
  if (flags.replay == "off") {
    options.replay = "";
  } else if (!flags.replay.empty()) {
    const auto checked = about("--kv-replay", check_event_pattern(flags.replay));
    if (!checked) return checked.error();
    options.replay = flags.replay;
  }
  if (options.replay && !options.replay->empty() && options.replay == options.addresses.events) {
    return Error{"--kv-replay: '" + flags.replay +
                 "' is where events come from (--kv-events); replays have an address of their own"};
  }
  const std::string replay = options.replay.value_or(options.addresses.replay);
  if (options.listen == Listen::kAlways && !replay.empty()) {
    const auto apart = check_rank_ports(options.addresses.events, replay, flags.ranks);
    if (!apart) return Error{"--kv-ranks: " + apart.error().message + " (--kv-replay)"};
  }
  if (!flags.bind.empty()) {
    const auto checked = about("--kv-bind", check_bind_address(flags.bind));
    if (!checked) return checked.error();
    if (!flags.events.empty()) {
      return Error{"--kv-bind: engines connect to it, so --kv-events cannot say where they are"};
    }
    options.listen = Listen::kAlways;
    options.bind = flags.bind;
    options.addresses.events.clear();
  }
  return options;
}

}  // namespace kvasir
