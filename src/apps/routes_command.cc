#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/manifest_files.h"
#include "apps/routes_text.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

struct RoutesFlags {
  std::vector<std::string> paths;
  std::vector<std::string> classes;
  std::string name_space = "default";
};

struct TestFlags {
  RoutesFlags routes;
  std::string method;
  std::string url;
  std::vector<std::string> headers;
};

void add_flags(CLI::App& command, RoutesFlags& flags) {
  command
      .add_option("-f,--filename", flags.paths,
                  "YAML or JSON with Kubernetes objects, or a folder of such files; - is standard\n"
                  "input; repeatable")
      ->required();
  command.add_option("--gateway-class", flags.classes,
                     "Gateways of this gatewayClassName count; repeatable (default: all)");
  command
      .add_option("-n,--namespace", flags.name_space,
                  "Of objects that name no namespace themselves")
      ->capture_default_str();
}

// Every object that can be read; what cannot is an Error, as kvasir kube check has it.
Result<EffectiveRoutes> read_routes(const RoutesFlags& flags) {
  std::vector<Error> unread;
  std::string problems;
  ObjectStore store;
  for (const ManifestFile& file : read_manifest_files(flags.paths, unread)) {
    auto objects = read_manifest(file.text, flags.name_space);
    if (!objects) {
      problems += file.name + ": " + objects.error().message + "\n";
      continue;
    }
    for (const ManifestObject& object : *objects) {
      for (const Remark& problem : object.problems) {
        problems += file.name + ":" + std::to_string(problem.line) + ": " + problem.text + "\n";
      }
      if (object.object != nullptr) store.put(object.object->type->as, object.object);
    }
  }
  store.end_batch();
  for (const Error& error : unread) problems += error.message + "\n";
  if (!problems.empty()) {
    problems.pop_back();
    return Error{problems};
  }
  return effective_routes(store, [&](const KubeGateway& gateway) {
    return flags.classes.empty() || std::find(flags.classes.begin(), flags.classes.end(),
                                              gateway.class_name) != flags.classes.end();
  });
}

int show_routes(const RoutesFlags& flags) {
  const Result<EffectiveRoutes> routes = read_routes(flags);
  if (!routes) return fail_command("routes", 2, routes.error().message);
  if (routes->gateways.empty()) {
    return fail_command("routes", 2,
                        "there is no Gateway in these files, so nothing would be routed");
  }
  std::cout << routes_text(*routes) << std::flush;
  return 0;
}

int test_request(const TestFlags& flags) {
  const Result<EffectiveRoutes> routes = read_routes(flags.routes);
  if (!routes) return fail_command("routes test", 2, routes.error().message);
  const Result<AskedRequest> request = asked_request(flags.method, flags.url, flags.headers);
  if (!request) return fail_command("routes test", 2, request.error().message);
  std::cout << routes_answer_text(*routes, *request) << std::flush;
  return 0;
}

void add_test_command(CLI::App& routes, int& exit_code) {
  CLI::App* command =
      routes.add_subcommand("test", "Say which rule a request is for, why, and where it goes");
  auto flags = std::make_shared<TestFlags>();
  command->add_option("METHOD", flags->method, "GET, POST, ...")->required();
  command->add_option("URL", flags->url, "http://HOST[:PORT]/PATH[?QUERY], or https://...")
      ->required();
  command
      ->add_option("-H,--header", flags->headers,
                   "A field of the request, \"NAME: VALUE\"; repeatable")
      ->allow_extra_args(false);
  add_flags(*command, flags->routes);
  command->footer(
      "  kvasir routes test POST http://llm.example.com/v1/completions -H 'x-kv-backend: fs' "
      "-f routes/");
  command->callback([flags, &exit_code] { exit_code = test_request(*flags); });
}

}  // namespace

void add_routes_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "routes", "Print what Gateways and HTTPRoutes come to: the table of matches, and conditions");
  auto flags = std::make_shared<RoutesFlags>();
  command->require_subcommand(0, 1);
  add_flags(*command, *flags);
  command->get_option("--filename")->required(false);
  command->footer(
      "Read are Gateway, HTTPRoute, ReferenceGrant, Namespace, Service, Secret and InferencePool.\n"
      "Each listener's matches stand in the order in which they are tried (the Gateway API's\n"
      "precedence); under them, what the API calls conditions: what is not routed, and why. No\n"
      "cluster is asked.\n\n"
      "  kvasir routes -f routes/\n"
      "  kubectl get gateways,httproutes,services,referencegrants -A -o yaml | kvasir routes -f -");
  add_test_command(*command, exit_code);
  command->callback([flags, command, &exit_code] {
    if (!command->get_subcommands().empty()) return;
    if (flags->paths.empty()) {
      exit_code = fail_command("routes", 2, "-f FILE is missing: which objects?");
      return;
    }
    exit_code = show_routes(*flags);
  });
}

}  // namespace kvasir
