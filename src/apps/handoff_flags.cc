#include "apps/handoff_flags.h"

#include <CLI/CLI.hpp>
#include <map>
#include <vector>

#include "apps/duration_flag.h"

namespace kvasir {
namespace {

const std::map<std::string, KvDialect>& dialects() {
  static const std::map<std::string, KvDialect> kDialects = {
      {"nixl", KvDialect::kNixl},         {"nixlv2", KvDialect::kNixlV2},
      {"lmcache", KvDialect::kLmcache},   {"shared-storage", KvDialect::kSharedStorage},
      {"sglang", KvDialect::kSglang},     {"offloading", KvDialect::kOffloading},
      {"mooncake", KvDialect::kMooncake}, {"p2p", KvDialect::kP2p}};
  return kDialects;
}

std::vector<std::string> connectors(bool of_sidecar) {
  std::vector<std::string> names;
  for (const auto& [name, dialect] : dialects()) {
    const bool is_of_sidecar = dialect == KvDialect::kMooncake || dialect == KvDialect::kP2p;
    if (!is_of_sidecar || of_sidecar) names.push_back(name);
  }
  return names;
}

}  // namespace

void add_handoff_flags(CLI::App& command, HandoffFlags& flags, const std::string& connector_names,
                       const std::string& candidates) {
  command
      .add_option(connector_names, flags.connector,
                  "How prefill and decode worker learn of each other")
      ->check(CLI::IsMember(connectors(flags.of_sidecar)))
      ->capture_default_str();
  command
      .add_option("--p2p-connector-port", flags.offloading_port,
                  "Of prefill workers, with offloading")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  add_prefill_flags(command, flags, candidates);
  command
      .add_option("--on-no-handoff", flags.on_no_handoff,
                  "When a prefill worker answers and hands nothing over: local-decode or error")
      ->check(CLI::IsMember({"error", "local-decode"}))
      ->capture_default_str();
}

void add_prefill_flags(CLI::App& command, HandoffFlags& flags, const std::string& candidates) {
  command
      .add_option("--prefill-attempts", flags.attempts,
                  "Prefill workers that one request is sent to, one after another, until one\n"
                  "answers; " +
                      candidates)
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  add_seconds_flag(command, "--prefill-deadline", flags.deadline_s,
                   "A prefill worker that has not answered by then has failed; to it comes\n"
                   "--prefill-deadline-per-token for each token of the prompt");
  command.add_option("--prefill-deadline-per-token", flags.deadline_ms_per_token, "Milliseconds")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  command
      .add_option("--hedge-after", flags.hedge_after_ms,
                  "Milliseconds without an answer after which a second prefill worker is asked\n"
                  "as well, and the first answer counts; 0: never")
      ->check(CLI::Range(0.0, 600'000.0))
      ->capture_default_str();
  command
      .add_option("--on-prefill-failure", flags.on_prefill_failure,
                  "When no prefill worker is left: error, or local-decode (the decode worker\n"
                  "computes the prompt)")
      ->check(CLI::IsMember({"error", "local-decode"}))
      ->capture_default_str();
}

HandoffOptions handoff_options(const HandoffFlags& flags) {
  HandoffOptions options;
  options.dialect = dialects().at(flags.connector);
  options.offloading_port = flags.offloading_port;
  options.mooncake_bootstrap_port = flags.mooncake_port;
  options.sglang_bootstrap_port = flags.sglang_port;
  options.prefill_retries_most = flags.retries;
  options.prefill_retry_backoff = from_seconds(flags.retry_backoff_s);
  options.prefill_attempts_most = flags.attempts;
  options.prefill_deadline = from_seconds(flags.deadline_s);
  options.prefill_deadline_per_token = from_seconds(flags.deadline_ms_per_token / 1000);
  options.hedge_after = from_seconds(flags.hedge_after_ms / 1000);
  if (flags.on_prefill_failure == "local-decode") {
    options.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
  }
  if (flags.on_no_handoff == "error") options.on_no_handoff = HandoffOptions::OnNoHandoff::kError;
  return options;
}

}  // namespace kvasir
