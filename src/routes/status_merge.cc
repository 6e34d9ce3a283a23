// How what we say of an object comes into its JSON (routes/object_status.h).
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "routes/object_status.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The member, an empty list when it is none.
Json list_at(const Json& object, const char* key) {
  if (!object.is_object()) return Json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

const Json* element_with(const Json& list, const char* key, const std::string& value) {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const Json& one) { return text_at(one, key) == value; });
  return found == list.end() ? nullptr : &*found;
}

// `before`: the list as it is.
Json conditions_json(const std::vector<RouteCondition>& conditions, const Json& before,
                     int64_t generation, const std::string& now) {
  Json list = Json::array();
  for (const RouteCondition& one : conditions) {
    const std::string status = one.holds ? "True" : "False";
    const Json* known = element_with(before, "type", one.type);
    std::string since = now;
    if (known != nullptr && text_at(*known, "status") == status) {
      since = text_at(*known, "lastTransitionTime");
    }
    list.push_back({{"type", one.type},
                    {"status", status},
                    {"reason", one.reason},
                    {"message", one.message},
                    {"observedGeneration", generation},
                    {"lastTransitionTime", since.empty() ? now : since}});
  }
  return list;
}

// Conditions of types that are not ours stay where they are.
Json with_conditions(const std::vector<RouteCondition>& conditions, const Json& before,
                     int64_t generation, const std::string& now) {
  Json all = before;
  for (Json& ours : conditions_json(conditions, before, generation, now)) {
    const std::string type = text_at(ours, "type");
    const auto place = std::find_if(all.begin(), all.end(),
                                    [&](const Json& one) { return text_at(one, "type") == type; });
    if (place == all.end()) {
      all.push_back(std::move(ours));
    } else {
      *place = std::move(ours);
    }
  }
  return all;
}

Json listeners_json(const ObjectStatus& status, const Json& before, int64_t generation,
                    const std::string& now) {
  Json list = Json::array();
  for (const ListenerStatus& one : status.listeners) {
    const Json* known = element_with(before, "name", one.name);
    Json kinds = Json::array();
    for (const KubeGateway::Listener::RouteKind& kind : one.supported_kinds) {
      kinds.push_back({{"group", kind.group}, {"kind", kind.kind}});
    }
    const Json conditions = known != nullptr ? list_at(*known, "conditions") : Json::array();
    list.push_back({{"name", one.name},
                    {"supportedKinds", std::move(kinds)},
                    {"attachedRoutes", one.attached_routes},
                    {"conditions", conditions_json(one.conditions, conditions, generation, now)}});
  }
  return list;
}

bool is_address(const std::string& text) {
  const bool v4 = text.find_first_not_of("0123456789.") == std::string::npos;
  return v4 || text.find(':') != std::string::npos;
}

Json addresses_json(const std::vector<std::string>& addresses) {
  Json list = Json::array();
  for (const std::string& one : addresses) {
    list.push_back({{"type", is_address(one) ? "IPAddress" : "Hostname"}, {"value", one}});
  }
  return list;
}

Json parent_ref_json(const HTTPRoute::ParentRef& parent) {
  Json ref = {{"group", parent.to.group}, {"kind", parent.to.kind}, {"name", parent.to.name}};
  if (!parent.to.name_space.empty()) ref["namespace"] = parent.to.name_space;
  if (!parent.section.empty()) ref["sectionName"] = parent.section;
  if (parent.port) ref["port"] = *parent.port;
  return ref;
}

// With what an API server fills in.
Json normal_ref(Json ref) {
  if (!ref.is_object()) return ref;
  if (!ref.contains("group")) ref["group"] = kGatewayGroup;
  if (!ref.contains("kind")) ref["kind"] = "Gateway";
  return ref;
}

const Json kNoRef;
const Json& ref_of(const Json& entry) {
  const auto found = entry.is_object() ? entry.find("parentRef") : entry.end();
  return entry.is_object() && found != entry.end() ? *found : kNoRef;
}

// Our entries take the places of those that they replace: two controllers that each moved theirs
// would write for ever. An entry that says no controller is ours when it is of our parent: the
// InferencePool's first v1 had no such field, and an API server drops what it does not know.
class ParentList {
 public:
  ParentList(const ObjectStatus& status, const std::string& controller, int64_t generation,
             const std::string& now)
      : status_(status), controller_(controller), generation_(generation), now_(now) {}

  Json merged(const Json& before) const {
    Json list = Json::array();
    std::vector<bool> written(status_.parents.size());
    for (const Json& entry : before) {
      const size_t parent = parent_of(entry);
      const std::string writer = text_at(entry, "controllerName");
      const bool known = parent < written.size() && !written[parent];
      if (writer == controller_ || (writer.empty() && known)) {
        if (known) list.push_back(entry_of(parent, entry));
        if (known) written[parent] = true;
      } else {
        list.push_back(entry);
      }
    }
    for (size_t i = 0; i < written.size(); ++i) {
      if (!written[i]) list.push_back(entry_of(i, Json()));
    }
    return list;
  }

 private:
  size_t parent_of(const Json& entry) const {
    const Json ref = normal_ref(ref_of(entry));
    size_t i = 0;
    while (i < status_.parents.size() && parent_ref_json(status_.parents[i].parent) != ref) ++i;
    return i;
  }

  Json entry_of(size_t parent, const Json& before) const {
    const ObjectStatus::Parent& wanted = status_.parents[parent];
    Json entry = {{"parentRef", parent_ref_json(wanted.parent)},
                  {"conditions", conditions_json(wanted.conditions, list_at(before, "conditions"),
                                                 generation_, now_)}};
    if (before.is_null() || before.contains("controllerName")) {
      entry["controllerName"] = controller_;
    }
    if (!before.is_null()) entry["parentRef"] = ref_of(before);
    return entry;
  }

  const ObjectStatus& status_;
  const std::string& controller_;
  const int64_t generation_;
  const std::string& now_;
};

int64_t generation_of(const Json& object) {
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object()) return 0;
  const auto found = meta->find("generation");
  return found != meta->end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

Result<std::string> with_status(std::string_view text, const ObjectStatus& status,
                                const std::string& controller_name, const std::string& now) {
  Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return Error{"the API server's answer is no object"};
  const int64_t generation = generation_of(object);
  Json& said = object["status"];
  if (!said.is_object()) said = Json::object();
  const Json before = said;
  const KubeKind kind = status.type->as;
  if (kind == KubeKind::kHTTPRoute || kind == KubeKind::kInferencePool) {
    Json parents =
        ParentList(status, controller_name, generation, now).merged(list_at(said, "parents"));
    if (parents != list_at(said, "parents")) said["parents"] = std::move(parents);
  } else {
    said["conditions"] =
        with_conditions(status.conditions, list_at(said, "conditions"), generation, now);
  }
  if (kind == KubeKind::kGateway) {
    said["listeners"] = listeners_json(status, list_at(said, "listeners"), generation, now);
    if (!status.addresses.empty()) said["addresses"] = addresses_json(status.addresses);
  }
  if (said == before) return std::string();
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvasir
