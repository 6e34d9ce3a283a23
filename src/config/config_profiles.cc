#include "config/config_profiles.h"

namespace kvasir {
namespace {

struct ConfigProfile {
  std::string_view name;
  std::string_view text;
};

constexpr std::string_view kDefaultProfile = "default";

constexpr ConfigProfile kProfiles[] = {{kDefaultProfile, R"(apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: decode-filter
- type: load-aware-scorer
- type: prefix-cache-scorer
- type: kv-cache-utilization-scorer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: decode-filter
  - {pluginRef: load-aware-scorer, weight: 1}
  - {pluginRef: prefix-cache-scorer, weight: 2}
  - {pluginRef: kv-cache-utilization-scorer, weight: 1}
  - pluginRef: max-score-picker
)"},
                                       {"proxy-performance", R"(apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: active-request-scorer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: active-request-scorer, weight: 1}
  - pluginRef: max-score-picker
)"},
                                       {"proxy-performance-by-backend", R"(apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- name: by-kv-backend
  type: label-selector-filter
  parameters:
    matchLabels: {llm-d.ai/kv-backend: nvlink}
- type: active-request-scorer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: by-kv-backend
  - {pluginRef: active-request-scorer, weight: 1}
  - pluginRef: max-score-picker
)"}};

const Value* member(const Value* of, std::string_view key) {
  return of == nullptr ? nullptr : of->find(key);
}

std::string known_profiles() {
  std::string names;
  for (const ConfigProfile& one : kProfiles) {
    names.append(names.empty() ? "" : ", ").append(one.name);
  }
  return names;
}

}  // namespace

bool is_scheduler_install(const Value& document) {
  const Value* kind = document.find("kind");
  return kind != nullptr && kind->text() != nullptr && *kind->text() == "SchedulerInstall";
}

std::string_view config_profile_of(const Value& scheduler_install, ConfigReading& reading) {
  const Value* said = member(member(scheduler_install.find("spec"), "epp"), "configProfile");
  const int line = said != nullptr ? said->line() : scheduler_install.line();
  std::string name(kDefaultProfile);
  if (said != nullptr) name = said->text() != nullptr ? *said->text() : "";
  for (const ConfigProfile& one : kProfiles) {
    if (one.name != name) continue;
    reading.notes.push_back(
        Remark{line, "read the configProfile '" + name +
                         "' of a SchedulerInstall, and nothing else of it; lines below count from "
                         "the start of that profile's text"});
    return one.text;
  }
  reading.errors.push_back(Remark{line, "SchedulerInstall: spec.epp.configProfile '" + name +
                                            "' is not known; there are " + known_profiles()});
  return "";
}

}  // namespace kvasir
