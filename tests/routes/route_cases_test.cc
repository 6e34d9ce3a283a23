// One test for each file of cases, named after it: --gtest_filter='*precedence*'.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "route_case_file.h"
#include "routes/effective_routes.h"
#include "routes/hostnames.h"
#include "routes/route_actions.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

fs::path cases_folder() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return fs::path(root != nullptr ? root : ".") / "tests/routes/cases";
}

// The parts of a case's URL.
struct Url {
  bool tls = false;
  std::string host;  // without port
  uint16_t port = 0;
  std::string path, query;
};

Url url_of(const std::string& text) {
  Url url;
  url.tls = text.rfind("https://", 0) == 0;
  const size_t begin = text.find("://") + 3;
  const size_t slash = std::min(text.find('/', begin), text.size());
  const std::string authority = text.substr(begin, slash - begin);
  const size_t question = std::min(text.find('?', slash), text.size());
  url.path = text.substr(slash, question - slash);
  url.query = text.substr(std::min(question + 1, text.size()));
  const size_t colon = authority.rfind(':');
  url.host = host_without_port(authority);
  url.port = url.tls ? 443 : 80;
  if (colon != authority.npos)
    url.port = static_cast<uint16_t>(std::stoi(authority.substr(colon + 1)));
  return url;
}

std::string target_name(const RouteTarget& target) {
  std::string name = to_string(target.object);
  if (target.kind == RouteTarget::Kind::kService) name += ":" + std::to_string(target.port);
  return name;
}

// Where the rule's requests go; "500" stands for a share that is refused.
std::vector<std::string> targets_of(const RouteRule& rule) {
  std::set<std::string> names;
  for (const RouteBackend& backend : rule.backends) {
    if (backend.weight == 0) continue;
    names.insert(backend.target ? target_name(*backend.target) : "500");
  }
  return {names.begin(), names.end()};
}

// Null: there is none of that type.
const RouteCondition* find_condition(const std::vector<RouteCondition>& conditions,
                                     std::string_view type) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const RouteCondition& one) { return one.type == type; });
  return found == conditions.end() ? nullptr : &*found;
}

class RouteCases : public ::testing::Test {
 public:
  explicit RouteCases(fs::path file) : path_(std::move(file)) {}

  void TestBody() override {
    auto read = read_route_cases(path_);
    ASSERT_TRUE(read.ok()) << read.error().message;
    ObjectStore store;
    for (const ManifestObject& object : read->objects) {
      store.put(object.object->type->as, object.object);
    }
    store.end_batch();
    const auto is_ours = [](const KubeGateway& gateway) { return gateway.class_name == "kvasir"; };
    routes_ = effective_routes(store, is_ours);
    for (const RouteCase& one : read->requests) play(one);
    for (const ConditionCase& one : read->conditions) hold(one);
    for (const auto& [listener, count] : read->attached) hold_attached(listener, count);
  }

 private:
  std::string where(int line) const { return path_.string() + ":" + std::to_string(line); }

  void play(const RouteCase& one) {
    SCOPED_TRACE(where(one.line) + " " + one.method + " " + one.url);
    const Url url = url_of(one.url);
    HttpHead head;
    head.set_request_line(one.method, url.path, 1);
    for (const auto& [name, value] : one.headers) head.add_field(name, value);
    const RouteRequest request{url.port, url.tls, url.host, url.path, url.query, head};
    const RouteTable::Found found = routes_.table->find(request);
    if (found.entry == nullptr) {
      EXPECT_EQ(404, one.status);
      EXPECT_TRUE(one.to.empty()) << "no rule is for it";
      return;
    }
    const RouteRule& rule = *found.entry->rule;
    if (!one.rule.empty()) {
      EXPECT_EQ(to_string(rule.route) + " " + std::to_string(rule.index), one.rule);
    }
    if (rule.filters.redirect) {
      EXPECT_EQ(rule.filters.redirect->status, one.status);
      EXPECT_EQ(redirect_location(*rule.filters.redirect, request, found.entry->match),
                one.location);
      return;
    }
    const std::vector<std::string> to = targets_of(rule);
    const bool refused =
        !rule.problem.empty() || to.empty() || to == std::vector<std::string>{"500"};
    if (refused) {
      EXPECT_EQ(one.status, 500) << rule.problem;
      EXPECT_TRUE(one.to.empty());
      return;
    }
    std::vector<std::string> wanted = one.to;
    std::sort(wanted.begin(), wanted.end());
    EXPECT_EQ(to, wanted);
    const HTTPRoute::Rewrite rewrite = rule.filters.rewrite.value_or(HTTPRoute::Rewrite{});
    if (!one.sent_path.empty()) {
      EXPECT_EQ(rewritten_target(rewrite, request, found.entry->match), one.sent_path);
    }
    if (!one.sent_host.empty()) {
      EXPECT_EQ(rewrite.hostname, one.sent_host);
    }
  }

  // Null: there is no such object.
  const std::vector<RouteCondition>* conditions_of(const std::string& object) const {
    for (const GatewayStatus& gateway : routes_.gateways) {
      const std::string name = to_string(gateway.gateway);
      if (object == "Gateway " + name) return &gateway.conditions;
      for (const ListenerStatus& listener : gateway.listeners) {
        if (object == "Listener " + name + "/" + listener.name) return &listener.conditions;
      }
    }
    for (const RouteStatus& route : routes_.routes) {
      for (size_t i = 0; i < route.parents.size(); ++i) {
        std::string name = "HTTPRoute " + to_string(route.route);
        if (i > 0) name += " parent " + std::to_string(i);
        if (object == name) return &route.parents[i].conditions;
      }
    }
    return nullptr;
  }

  void hold(const ConditionCase& one) {
    SCOPED_TRACE(where(one.line) + " " + one.object + " " + one.type);
    const auto* conditions = conditions_of(one.object);
    const RouteCondition* found =
        conditions == nullptr ? nullptr : find_condition(*conditions, one.type);
    std::string says = "none";
    if (found != nullptr) says = (found->holds ? "True " : "False ") + found->reason;
    EXPECT_EQ(says, one.says) << (found != nullptr ? found->message : "");
    if (found == nullptr) return;
    EXPECT_NE(found->message.find(one.message_has), std::string::npos) << found->message;
  }

  void hold_attached(const std::string& name, int64_t count) {
    SCOPED_TRACE(path_.string() + " attached to " + name);
    for (const GatewayStatus& gateway : routes_.gateways) {
      for (const ListenerStatus& listener : gateway.listeners) {
        if (to_string(gateway.gateway) + "/" + listener.name != name) continue;
        EXPECT_EQ(static_cast<int64_t>(listener.attached_routes), count);
        return;
      }
    }
    ADD_FAILURE() << "there is no such listener";
  }

  const fs::path path_;
  EffectiveRoutes routes_;
};

const bool registered = [] {
  for (const auto& entry : fs::directory_iterator(cases_folder())) {
    if (entry.path().extension() != ".yaml") continue;
    const fs::path path = entry.path();
    ::testing::RegisterTest("RouteCases", path.stem().string().c_str(), nullptr, nullptr,
                            path.string().c_str(), 1,
                            [path]() -> ::testing::Test* { return new RouteCases(path); });
  }
  return true;
}();

}  // namespace
}  // namespace kvasir
