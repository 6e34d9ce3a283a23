#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <random>

#include "apps/commands.h"
#include "apps/kube_get.h"
#include "kube/kube_client.h"
#include "kube/kube_config.h"
#include "kube/object_store.h"
#include "kube/reflector.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/system_resolver.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

struct KubeGetFlags {
  std::string kind;
  std::string kubeconfig;
  std::string name_space;
  std::string selector;
  bool all_namespaces = false;
  bool watch = false;
};

// Prints what comes into the store; ends the loop when all is there, or when it cannot be read,
// unless it is to go on.
class KubeGetPrinter final : public ObjectStoreListener, public ReflectorProbe {
 public:
  KubeGetPrinter(EventLoop& loop, bool watch) : loop_(loop), watch_(watch) {}

  void on_change(const ObjectChange& change) override {
    const char* sign = change.after == nullptr ? "- " : change.before == nullptr ? "+ " : "~ ";
    std::cout << (watch_ ? sign : "") << object_line(change.object()) << "\n";
  }
  void on_batch_end() override { std::cout << std::flush; }

  void on_synced(const KubeType& type, size_t objects) override {
    std::cerr << "# " << objects << " " << type.plural << (watch_ ? "; what changes follows" : "")
              << std::endl;
    if (!watch_) loop_.stop();
  }
  void on_trouble(const KubeType&, const KubeStatus&, const std::string& why) override {
    failed = true;
    fail_command("kube get", 1, why);
    if (!watch_) loop_.stop();
  }
  void on_object_refused(const KubeType& type, const ObjectKey& key,
                         const std::string& why) override {
    std::cerr << "# " << type.kind << " " << to_string(key) << " cannot be used: " << why
              << std::endl;
  }

  bool failed = false;

 private:
  EventLoop& loop_;
  const bool watch_;
};

std::string known_kinds() {
  std::string kinds;
  for (const KubeType& type : kube_types()) {
    const std::string plural(type.plural);
    if (kinds.find(plural) == std::string::npos) kinds += (kinds.empty() ? "" : ", ") + plural;
  }
  return kinds;
}

int get_objects(const KubeGetFlags& flags) {
  const KubeType* type = find_type_by_word(flags.kind);
  if (type == nullptr) {
    return fail_command("kube get", 2,
                        "\"" + flags.kind + "\" is not read; kinds: " + known_kinds());
  }
  Result<KubeConfig> config = find_kube_config(flags.kubeconfig);
  if (!config) return fail_command("kube get", 2, config.error().message);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("kube get", 1, loop.error().message);
  const auto signals =
      SignalWatcher::create(**loop, {SIGINT, SIGTERM}, [&](int) { (*loop)->stop(); });
  if (!signals) return fail_command("kube get", 1, signals.error().message);
  SystemResolver resolver;
  ReflectorOptions options;
  options.label_selector = flags.selector;
  if (type->namespaced && !flags.all_namespaces) {
    options.name_space = flags.name_space.empty() ? config->name_space : flags.name_space;
  }
  std::cerr << "# " << server_url(*config) << ", from " << config->source << std::endl;
  auto client = KubeClient::create(**loop, resolver, std::move(*config));
  if (!client) return fail_command("kube get", 2, client.error().message);
  ObjectStore store;
  KubeGetPrinter printer(**loop, flags.watch);
  store.add_listener(printer);
  Random random(std::random_device{}());
  {
    const Reflector reflector(**loop, **client, store, *type, options, random, printer);
    (*loop)->run();
  }
  store.remove_listener(printer);
  return printer.failed && !flags.watch ? 1 : 0;
}

}  // namespace

void add_kube_get_command(CLI::App& kube, int& exit_code) {
  CLI::App* command =
      kube.add_subcommand("get", "Show what Kvasir reads from the API server, one object a line");
  auto flags = std::make_shared<KubeGetFlags>();
  command
      ->add_option("KIND", flags->kind, "pods, inferencepools, inferenceobjectives.llm-d.ai, ...")
      ->required();
  command->add_option("-n,--namespace", flags->name_space,
                      "Of the objects (default: the pod's own, or the kubeconfig context's)");
  command->add_flag("-A,--all-namespaces", flags->all_namespaces, "Of every namespace");
  command->add_option("-l,--selector", flags->selector,
                      "Labels: app=vllm,role in (prefill,decode)");
  command->add_flag("-w,--watch", flags->watch, "Go on: new (+), changed (~) and deleted (-) ones");
  command->add_option("--kubeconfig", flags->kubeconfig,
                      "Default: $KUBECONFIG, else the pod's service account, else ~/.kube/config");
  command->footer(
      "It reads as a picker does, with a list and a watch: where this works, so do the addresses\n"
      "and the permissions. A Secret's values are never shown.\n\n"
      "  kvasir kube get pods -l app=vllm --watch\n"
      "  kvasir kube get inferencepools -A");
  command->callback([flags, &exit_code] { exit_code = get_objects(*flags); });
}

}  // namespace kvasir
