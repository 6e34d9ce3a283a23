#include "envoy_config/envoy_filters.h"

#include <algorithm>

#include "base/text.h"
#include "envoy_config/envoy_matches.h"
#include "envoy_config/envoy_names.h"

namespace kvasir {
namespace {

constexpr const char* kCors = "envoy.filters.http.cors";
// Two, since of one field that both change a backend's word counts on the way there, and its rule's
// on the way back.
constexpr const char* kRequestHeaders = "request-headers";
constexpr const char* kResponseHeaders = "response-headers";
constexpr const char* kPicker = "envoy.filters.http.ext_proc";
constexpr const char* kRouter = "envoy.filters.http.router";
constexpr const char* kMessages = "envoy.extensions.filters.http.";

// A picker holds a request in flow control as long as its own limits let it.
constexpr const char* kPickerMessageTimeout = "1000s";
constexpr const char* kPickerStreamTimeout = "86400s";

EnvoyJson filter(const char* name, EnvoyJson config) {
  return {{"name", name}, {"typed_config", std::move(config)}};
}

EnvoyJson message(const char* name) {
  return typed(std::string(kMessages) + name);
}

// With another try where one of several pickers has just died. Pickers refuse what a name of ours
// would be as an authority.
EnvoyJson picker_service(const std::string& cluster, const std::string& authority) {
  return {{"envoy_grpc", {{"cluster_name", cluster}, {"authority", authority}}},
          {"timeout", kPickerStreamTimeout},
          {"retry_policy",
           {{"retry_on", "reset,connect-failure,unavailable"},
            {"num_retries", 3},
            {"retry_back_off", {{"base_interval", "0.005s"}, {"max_interval", "0.05s"}}}}}};
}

// Where requests may go on without a picker, Envoy must still have the body: it is sent to the
// picker as a copy.
EnvoyJson picker_modes(bool fail_open) {
  const char* body = fail_open ? "BUFFERED" : "FULL_DUPLEX_STREAMED";
  return {{"request_header_mode", "SEND"},
          {"response_header_mode", "SEND"},
          {"request_body_mode", body},
          {"response_body_mode", "FULL_DUPLEX_STREAMED"},
          {"request_trailer_mode", fail_open ? "SKIP" : "SEND"},
          {"response_trailer_mode", "SEND"}};
}

// What pickers say of endpoints beside headers: the protocol's namespaces.
EnvoyJson picker_metadata() {
  return {{"forwarding_namespaces",
           {{"untyped", EnvoyJson::array({"envoy.lb.subset_hint", "envoy.lb"})}}},
          {"receiving_namespaces", {{"untyped", EnvoyJson::array({"envoy.lb"})}}}};
}

void add_field(const HeaderModifier::Field& field, const char* action, EnvoyJson& mutations) {
  mutations.push_back({{"append",
                        {{"header", {{"key", field.name}, {"value", plain_format(field.value)}}},
                         {"append_action", action}}}});
}

// In the order of the API: remove, set, add.
EnvoyJson mutations_of(const HeaderModifier& modifier) {
  EnvoyJson mutations = EnvoyJson::array();
  for (const std::string& name : modifier.remove) mutations.push_back({{"remove", name}});
  for (const auto& field : modifier.set) add_field(field, "OVERWRITE_IF_EXISTS_OR_ADD", mutations);
  for (const auto& field : modifier.add) add_field(field, "APPEND_IF_EXISTS_OR_ADD", mutations);
  return mutations;
}

EnvoyJson changes_of(const char* which, EnvoyJson mutations) {
  EnvoyJson changes = message("header_mutation.v3.HeaderMutationPerRoute");
  changes["mutations"][which] = std::move(mutations);
  return changes;
}

// "https://*.example.com": a star stands for any part of a host name.
EnvoyJson origin_match(const std::string& written) {
  const std::string origin = lower_case(written);  // as browsers write it
  const size_t star = origin.find('*');
  if (star == origin.npos) return {{"exact", origin}};
  if (origin == "*") return {{"safe_regex", {{"regex", ".*"}}}};
  return {{"safe_regex",
           {{"regex", literal_regex(origin.substr(0, star)) + "[^/:]+" +
                          literal_regex(origin.substr(star + 1))}}}};
}

std::string joined(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list.append(list.empty() ? "" : ", ").append(text);
  return list;
}

EnvoyJson cors_policy(const HTTPRoute::Cors& cors) {
  EnvoyJson policy = message("cors.v3.CorsPolicy");
  for (const std::string& origin : cors.origins) {
    policy["allow_origin_string_match"].push_back(origin_match(origin));
  }
  if (!cors.methods.empty()) policy["allow_methods"] = joined(cors.methods);
  if (!cors.headers.empty()) policy["allow_headers"] = joined(cors.headers);
  if (!cors.exposed.empty()) policy["expose_headers"] = joined(cors.exposed);
  policy["max_age"] = std::to_string(cors.max_age_seconds);
  policy["allow_credentials"] = cors.credentials;
  policy["forward_not_matching_preflights"] = false;
  return policy;
}

}  // namespace

EnvoyJson http_filters() {
  EnvoyJson requests = message("header_mutation.v3.HeaderMutation");
  requests["most_specific_header_mutations_wins"] = true;
  EnvoyJson picker = message("ext_proc.v3.ExternalProcessor");
  picker["grpc_service"] = picker_service(kNoBackend, kNoBackend);
  picker["message_timeout"] = kPickerMessageTimeout;
  EnvoyJson asked = filter(kPicker, std::move(picker));
  asked["disabled"] = true;  // but where a route's settings have it
  EnvoyJson router = message("router.v3.Router");
  router["suppress_envoy_headers"] = true;
  return EnvoyJson::array({filter(kCors, message("cors.v3.Cors")),
                           filter(kRequestHeaders, std::move(requests)),
                           filter(kResponseHeaders, message("header_mutation.v3.HeaderMutation")),
                           std::move(asked), filter(kRouter, std::move(router))});
}

EnvoyJson filter_settings(const HTTPRoute::Filters& filters) {
  EnvoyJson settings = EnvoyJson::object();
  if (filters.cors) settings[kCors] = cors_policy(*filters.cors);
  if (filters.request_headers) {
    settings[kRequestHeaders] =
        changes_of("request_mutations", mutations_of(*filters.request_headers));
  }
  if (filters.response_headers) {
    settings[kResponseHeaders] =
        changes_of("response_mutations", mutations_of(*filters.response_headers));
  }
  return settings;
}

void ask_picker(const InferencePool& pool, EnvoyJson& settings) {
  const bool fail_open = pool.picker->fail_open;
  const std::string host = pool.picker->name + "." + pool.meta.name_space + ".svc";
  EnvoyJson asked = message("ext_proc.v3.ExtProcPerRoute");
  asked["overrides"] = {{"processing_mode", picker_modes(fail_open)},
                        {"grpc_service", picker_service(picker_name(pool.meta.key()), host)},
                        {"metadata_options", picker_metadata()},
                        {"failure_mode_allow", fail_open}};
  settings[kPicker] = std::move(asked);
}

}  // namespace kvasir
