#include "apps/routes_text.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "net/http/http_path.h"
#include "routes/hostnames.h"
#include "routes/route_actions.h"
#include "routes/route_explain.h"

namespace kvasir {
namespace {

std::string or_any(const std::string& hostname) {
  return hostname.empty() ? "any host" : hostname;
}

std::string describe(const RouteListener& listener) {
  return "listener " + listener.name + " of Gateway " + to_string(listener.gateway) + ", port " +
         std::to_string(listener.port) + (listener.tls ? ", HTTPS, " : ", HTTP, ") +
         or_any(listener.hostname);
}

// Columns are as wide as their widest text.
class Columns {
 public:
  void add(std::vector<std::string> row) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
    rows_.push_back(std::move(row));
  }

  std::string text(std::string_view indent) const {
    std::string text;
    for (const std::vector<std::string>& row : rows_) {
      text += indent;
      for (size_t i = 0; i < row.size(); ++i) {
        text += row[i];
        if (i + 1 < row.size()) text.append(widths_[i] - row[i].size() + 2, ' ');
      }
      text += "\n";
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> widths_;
};

std::string listener_text(const RouteListener& listener) {
  std::vector<const RouteEntry*> entries;
  for (const RouteEntry& entry : listener.entries) entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const RouteEntry* a, const RouteEntry* b) { return comes_before(*a, *b); });
  Columns columns;
  for (const RouteEntry* entry : entries) {
    columns.add({or_any(entry->hostname), describe_match(entry->match), to_string(*entry->rule),
                 describe_backends(*entry->rule)});
  }
  std::string text = describe(listener) + "\n";
  return text + (entries.empty() ? "  no route\n" : columns.text("  "));
}

// "Conflicted" is the one that is well when it does not hold.
bool is_well(const RouteCondition& condition) {
  const bool bad_when_true = condition.type == "Conflicted" || condition.type == "PartiallyInvalid";
  return condition.holds != bad_when_true && condition.reason != "ListenersNotValid";
}

std::string broken_text(const RouteCondition& one) {
  std::string text = one.type + (one.holds ? " True " : " False ") + one.reason;
  if (!one.message.empty()) text += ": " + one.message;
  return text;
}

std::string conditions_text(const std::string& object,
                            const std::vector<RouteCondition>& conditions) {
  std::string well;
  std::string wrong;
  for (const RouteCondition& one : conditions) {
    if (!is_well(one)) {
      wrong += "  " + broken_text(one) + "\n";
    } else if (one.holds) {
      well.append(well.empty() ? "" : ", ").append(one.type);
    }
  }
  return object + (well.empty() ? "" : ": " + well) + "\n" + wrong;
}

std::string parent_name(const ObjectKey& route, const HTTPRoute::ParentRef& parent) {
  const std::string& own = route.name_space;
  std::string name = to_string(
      ObjectKey{parent.to.name_space.empty() ? own : parent.to.name_space, parent.to.name});
  if (!parent.section.empty()) name += ", listener " + parent.section;
  if (parent.port) name += ", port " + std::to_string(*parent.port);
  return name;
}

// Calls f(name, conditions) for each Gateway, listener and parent of a route.
template <class F>
void for_each_object(const EffectiveRoutes& routes, F&& f) {
  for (const GatewayStatus& gateway : routes.gateways) {
    const std::string name = "Gateway " + to_string(gateway.gateway);
    f(name, gateway.conditions);
    for (const ListenerStatus& listener : gateway.listeners) {
      f(name + " listener " + listener.name + ", " + std::to_string(listener.attached_routes) +
            " routes",
        listener.conditions);
    }
  }
  for (const RouteStatus& route : routes.routes) {
    for (const RouteParentStatus& parent : route.parents) {
      f("HTTPRoute " + to_string(route.route) + " at Gateway " +
            parent_name(route.route, parent.parent),
        parent.conditions);
    }
  }
}

// "Service ns/web:80", with what filters make of the request.
std::string outcome_text(const RouteEntry& entry, const RouteRequest& request) {
  const RouteRule& rule = *entry.rule;
  if (rule.problem.empty() && rule.filters.redirect) {
    return "answers " + std::to_string(rule.filters.redirect->status) +
           ", Location: " + redirect_location(*rule.filters.redirect, request, entry.match) + "\n";
  }
  std::string text = "goes to " + describe_backends(rule) + "\n";
  if (rule.filters.rewrite) {
    text += "is sent as " + rewritten_target(*rule.filters.rewrite, request, entry.match);
    if (!rule.filters.rewrite->hostname.empty()) {
      text += " with Host: " + rule.filters.rewrite->hostname;
    }
    text += "\n";
  }
  return text;
}

std::string nobody_text(const EffectiveRoutes& routes, const AskedRequest& asked) {
  const auto& listeners = routes.table->listeners();
  const auto on_port = [&](const RouteListener& one) {
    return one.port == asked.port && one.tls == asked.tls;
  };
  if (std::any_of(listeners.begin(), listeners.end(), on_port)) {
    return "404: no listener of port " + std::to_string(asked.port) + " is for host " + asked.host +
           "\n";
  }
  std::string ports;
  for (const RouteListener& one : listeners) {
    const std::string port = std::to_string(one.port) + (one.tls ? " (https)" : " (http)");
    if (ports.find(port) != ports.npos) continue;
    ports += (ports.empty() ? "" : ", ") + port;
  }
  return "no answer: there is no listener of " + std::string(asked.tls ? "HTTPS" : "HTTP") +
         " at port " + std::to_string(asked.port) + "; there are " +
         (ports.empty() ? "none" : ports) + "\n";
}

}  // namespace

std::string routes_text(const EffectiveRoutes& routes) {
  std::string text;
  for (const RouteListener& listener : routes.table->listeners()) text += listener_text(listener);
  text += "\nConditions\n";
  for_each_object(routes, [&](const std::string& object, const auto& conditions) {
    text += conditions_text(object, conditions);
  });
  return text;
}

std::vector<std::string> broken_conditions(const EffectiveRoutes& routes) {
  std::vector<std::string> broken;
  for_each_object(routes, [&](const std::string& object, const auto& conditions) {
    for (const RouteCondition& one : conditions) {
      if (!is_well(one)) broken.push_back(object + ": " + broken_text(one));
    }
  });
  return broken;
}

Result<AskedRequest> asked_request(std::string_view method, std::string_view url,
                                   const std::vector<std::string>& headers) {
  AskedRequest asked;
  asked.tls = url.substr(0, 8) == "https://";
  if (!asked.tls && url.substr(0, 7) != "http://") {
    return Error{"'" + std::string(url) + "' must begin with http:// or https://"};
  }
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?", begin), url.size());
  const std::string_view authority = url.substr(begin, end - begin);
  if (!is_valid_authority(authority)) {
    return Error{"'" + std::string(authority) + "' is no HOST[:PORT]"};
  }
  const std::string_view host = host_without_port(authority);
  asked.host = lower_case(host);
  asked.port = asked.tls ? 443 : 80;
  const size_t colon = authority.rfind(':');
  if (colon != authority.npos && authority.find(']', colon) == authority.npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), asked.port);
    if (error != std::errc() || stop != digits.data() + digits.size() || asked.port == 0) {
      return Error{"'" + std::string(digits) + "' is no port"};
    }
  }
  std::string target(url.substr(end));
  if (target.empty() || target.front() != '/') target.insert(0, "/");
  const Result<NormalTarget> normal = normal_target(target);
  if (!normal) return Error{"the path: " + normal.error().message};
  const std::string& whole = normal.value().target;
  const size_t question = std::min(whole.find('?'), whole.size());
  asked.path = whole.substr(0, question);
  asked.query = whole.substr(std::min(question + 1, whole.size()));
  asked.head.set_request_line(method, whole, 1);
  for (const std::string& header : headers) {
    const size_t divider = header.find(':');
    if (divider == header.npos || divider == 0) {
      return Error{"'" + header + "' must be NAME: VALUE"};
    }
    asked.head.add_field(header.substr(0, divider), trimmed(header.substr(divider + 1)));
  }
  return asked;
}

std::string routes_answer_text(const EffectiveRoutes& routes, const AskedRequest& asked) {
  const RouteRequest request{asked.port, asked.tls,   asked.host,
                             asked.path, asked.query, asked.head};
  const RouteTable::Found found = routes.table->find(request);
  if (found.listener == nullptr) return nobody_text(routes, asked);
  std::string text = "comes to " + describe(*found.listener) + "\n";
  if (found.entry == nullptr) return text + "404: none of its routes matches\n";
  const std::vector<const RouteEntry*> all = routes.table->find_all(request);
  text += "matches HTTPRoute " + to_string(*found.entry->rule) + ": " +
          describe_match(found.entry->match) + "\n";
  for (const RouteEntry* other : all) {
    if (other->rule == found.entry->rule) continue;
    text += "  before HTTPRoute " + to_string(*other->rule) + ": " +
            describe_precedence(*found.entry, *other) + "\n";
  }
  return text + outcome_text(*found.entry, request);
}

}  // namespace kvasir
