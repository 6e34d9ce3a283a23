#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/duration_flag.h"
#include "conformance/suite.h"
#include "net/io/flag_address.h"

namespace kvasir {
namespace {

struct ConformanceFlags {
  std::string target;
  std::string health_target;
  std::string empty_target;
  std::vector<std::string> endpoints;
  std::vector<std::string> only;
  std::string model = SubjectOptions().model;
  std::string path = SubjectOptions().path;
  std::string format = "table";
  double timeout_seconds = 5;
  bool list = false;
};

Result<SubjectOptions> options_of(const ConformanceFlags& flags) {
  SubjectOptions options;
  const Result<HostPort> target = parse_host_port(flags.target);
  if (!target) return Error{"--target: " + target.error().message};
  options.target = *target;
  if (!flags.health_target.empty()) {
    const Result<HostPort> health = parse_host_port(flags.health_target);
    if (!health) return Error{"--health-target: " + health.error().message};
    options.health_target = *health;
  }
  if (!flags.empty_target.empty()) {
    const Result<HostPort> empty = parse_host_port(flags.empty_target);
    if (!empty) return Error{"--empty-target: " + empty.error().message};
    options.empty_target = *empty;
  }
  options.timeout = from_seconds(flags.timeout_seconds);
  options.model = flags.model;
  options.path = flags.path;
  options.endpoints = flags.endpoints;
  return options;
}

void print(const SuiteReport& report, const std::string& format) {
  if (format == "json") std::cout << report_json(report);
  if (format == "junit") std::cout << report_junit(report);
  if (format == "table") std::cout << closing_text(report);
  std::cout << std::flush;
}

int run(const ConformanceFlags& flags) {
  const auto checks = select_checks(flags.only);
  if (!checks) return fail_command("conformance epp", 2, "--only: " + checks.error().message);
  if (flags.list) {
    std::cout << list_text(*checks);
    return 0;
  }
  if (flags.target.empty())
    return fail_command("conformance epp", 2, "say which picker with --target HOST:PORT");
  const Result<SubjectOptions> options = options_of(flags);
  if (!options) return fail_command("conformance epp", 2, options.error().message);
  auto subject = Subject::create(*options);
  if (!subject) return fail_command("conformance epp", 2, subject.error().message);
  const bool table = flags.format == "table";
  const SuiteReport report = run_suite(**subject, *checks, [table](const CheckResult& result) {
    if (table) std::cout << table_line(result) << std::flush;
  });
  print(report, flags.format);
  return report.conforms() ? 0 : 1;
}

void add_flags(CLI::App& command, ConformanceFlags& flags) {
  command.add_option("--target", flags.target, "The picker's ext_proc port (gRPC without TLS)")
      ->type_name("HOST:PORT");
  command
      .add_option("--health-target", flags.health_target,
                  "Its gRPC health port, where it is another one (llm-d: 9003)")
      ->type_name("HOST:PORT");
  command
      .add_option("--empty-target", flags.empty_target,
                  "The ext_proc port of another one of its kind, whose pool has no ready endpoint; "
                  "without it refusal.nobody is skipped")
      ->type_name("HOST:PORT");
  command
      .add_option("--endpoints", flags.endpoints,
                  "The endpoints of its pool, so that membership and subsets can be checked; "
                  "without it they "
                  "are learned from what is picked")
      ->delimiter(',')
      ->type_name("IP:PORT,...");
  command.add_option("--model", flags.model, "A model that the pool serves")->capture_default_str();
  command.add_option("--path", flags.path, "The path of the requests")->capture_default_str();
  command.add_option("--only", flags.only, "Only these checks: an id, or its first word (subset)")
      ->delimiter(',')
      ->type_name("ID,...");
  add_seconds_flag(command, "--timeout", flags.timeout_seconds, "What each awaited answer may take")
      ->check(CLI::Range(0.01, 600.0));
  command.add_option("--format", flags.format, "table, json or junit")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json", "junit"}));
  command.add_flag("--list", flags.list, "Say what is checked, and run nothing");
}

}  // namespace

void add_conformance_command(CLI::App& app, int& exit_code) {
  CLI::App* conformance = app.add_subcommand("conformance", "Hold a program against a protocol");
  conformance->require_subcommand(1);
  conformance->footer("Start here: kvasir conformance epp --list");
  CLI::App* command = conformance->add_subcommand(
      "epp", "Play Envoy's part against an endpoint picker, and check every answer");
  auto flags = std::make_shared<ConformanceFlags>();
  add_flags(*command, *flags);
  command->footer(
      "Any picker that speaks ext_proc can be held against it: ours, llm-d's, lwepp, Dynamo's. Its "
      "pool should have\n"
      "three endpoints or more; what runs behind them does not matter, as nothing is sent there.\n"
      "MUST is the protocol, SHOULD is what some gateway configurations need, reference is what "
      "llm-d's picker does.\n"
      "Exit code 0: every MUST that could be checked holds; 1: one does not; 2: the command line "
      "is wrong.\n\n"
      "  kvasir conformance epp --target 127.0.0.1:9002\n"
      "  kvasir conformance epp --target 127.0.0.1:9002 --health-target 127.0.0.1:9003 \\\n"
      "    --endpoints 10.0.0.1:8000,10.0.0.2:8000,10.0.0.3:8000 --only subset,pick.member\n"
      "  kvasir conformance epp --target 127.0.0.1:9002 --format junit > epp.xml\n\n"
      "docs/CONFORMANCE.md says more.");
  command->callback([flags, &exit_code] { exit_code = run(*flags); });
}

}  // namespace kvasir
