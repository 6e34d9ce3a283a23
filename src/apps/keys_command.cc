#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/keys_text.h"
#include "base/whole_file.h"
#include "tenants/tenant_table.h"

namespace kvasir {
namespace {

// The lines are read as the gateway will: nothing is printed that it would refuse.
int make_key(KeysEntryText entry) {
  const std::string key = new_key();
  entry.hash = to_string(KeyHasher().digest(key));
  const std::string lines = keys_entry_text(entry);
  if (const auto table = load_tenants("the new entry", lines); !table) {
    return fail_command("keys new", 2, table.error().message);
  }
  std::cerr << key << std::endl;
  std::cout << lines << std::flush;
  return 0;
}

int check_keys(const std::string& file) {
  const Result<std::string> text = read_whole_file(file, kKeysFileBytesMost);
  if (!text) return fail_command("keys check", 2, text.error().message);
  const auto table = load_tenants(file, *text);
  if (!table) {
    std::cerr << table.error().message << std::endl;
    return 2;
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  std::cout << keys_table_text(**table, now) << std::flush;
  return 0;
}

void add_new_command(CLI::App& keys, int& exit_code) {
  CLI::App* command = keys.add_subcommand("new", "Make a key, and the lines of the file for it");
  auto entry = std::make_shared<KeysEntryText>();
  command->add_option("--tenant", entry->name, "Who gets it")->required();
  command->add_option("--requests-per-minute", entry->requests_per_minute, "Beyond it 429");
  command->add_option("--tokens-per-minute", entry->tokens_per_minute,
                      "Of prompts and answers together; beyond it 429");
  command->add_option("--concurrency", entry->concurrency, "Requests at one time; beyond it 429");
  command->add_option("--priority", entry->priority,
                      "Of all its requests, higher first; below 0 they may be shed\n"
                      "(default: as each request's objective says)");
  command->add_option("--fairness-id", entry->fairness_id,
                      "Whose turn its requests take in flow control (default: the tenant's name)");
  command
      ->add_option("--models", entry->models,
                   "Models that it may use, * for any run of characters (default: all)")
      ->delimiter(',');
  command->add_option("--expires", entry->expires,
                      "When the key ends: 2027-01-31 (as that day begins, UTC) or RFC 3339");
  command->footer(
      "The key goes to standard error and is shown nowhere else; the lines for the file, which "
      "hold\n"
      "its SHA-256 only, go to standard output:\n\n"
      "  kvasir keys new --tenant research --tokens-per-minute 200000 >> keys.yaml");
  command->callback([entry, &exit_code] { exit_code = make_key(*entry); });
}

}  // namespace

void add_keys_command(CLI::App& app, int& exit_code) {
  CLI::App* keys = app.add_subcommand("keys", "Make and check the API keys of `kvasir gateway`");
  keys->require_subcommand(1);
  keys->footer(
      "Start here: kvasir keys new --tenant research >> keys.yaml\n"
      "            kvasir gateway --keys keys.yaml ...");
  add_new_command(*keys, exit_code);
  CLI::App* command =
      keys->add_subcommand("check", "Say what a file of keys allows, and what is wrong with it");
  auto file = std::make_shared<std::string>();
  command->add_option("FILE", *file, "As for kvasir gateway --keys")->required();
  command->footer(
      "Exit code 0: the gateway starts with the file; 2: it does not, and each problem has its\n"
      "line.");
  command->callback([file, &exit_code] { exit_code = check_keys(*file); });
}

}  // namespace kvasir
