#include "worker/routes.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kvasir {
namespace {

constexpr std::array<Route, 21> kRoutes = {{
    {"/v1/completions", WorkerApi::kCompletions, "POST"},
    {"/v1/chat/completions", WorkerApi::kChatCompletions, "POST"},
    {"/invocations", WorkerApi::kInvocations, "POST"},
    {"/v1/models", WorkerApi::kModels, "GET"},
    {"/tokenize", WorkerApi::kTokenize, "POST"},
    {"/detokenize", WorkerApi::kDetokenize, "POST"},
    {"/health", WorkerApi::kHealth, "GET"},
    {"/ping", WorkerApi::kHealth, "GET, POST"},
    {"/version", WorkerApi::kVersion, "GET"},
    {"/load", WorkerApi::kLoad, "GET"},
    {"/metrics", WorkerApi::kMetrics, ""},
    {"/reset_prefix_cache", WorkerApi::kResetPrefixCache, "POST"},
    {"/openapi.json", WorkerApi::kOpenApi, "GET, HEAD"},
    {"/docs", WorkerApi::kDocs, "GET, HEAD"},
    {"/v1/responses", WorkerApi::kNotSimulated, "POST"},
    {"/v1/messages", WorkerApi::kNotSimulated, "POST"},
    {"/v1/messages/count_tokens", WorkerApi::kNotSimulated, "POST"},
    {"/v1/chat/completions/batch", WorkerApi::kNotSimulated, "POST"},
    {"/inference/v1/generate", WorkerApi::kNotSimulated, "POST"},
    {"/v1/completions/render", WorkerApi::kNotSimulated, "POST"},
    {"/v1/chat/completions/render", WorkerApi::kNotSimulated, "POST"},
}};

constexpr std::array<std::string_view, 9> kMethods = {"GET",     "POST",  "PUT",   "DELETE", "HEAD",
                                                      "OPTIONS", "PATCH", "TRACE", "CONNECT"};

// The byte that "%XY" stands for.
std::optional<char> escaped_byte(std::string_view escape) {
  unsigned value = 0;
  if (escape.size() < 3) return std::nullopt;
  const auto [end, failure] = std::from_chars(escape.data() + 1, escape.data() + 3, value, 16);
  if (failure != std::errc() || end != escape.data() + 3) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

const Route* find_route(std::string_view path) {
  const auto found = std::find_if(kRoutes.begin(), kRoutes.end(),
                                  [&](const Route& route) { return route.path == path; });
  return found == kRoutes.end() ? nullptr : &*found;
}

bool takes_method(const Route& route, std::string_view method) {
  std::string_view rest = route.methods;
  if (rest.empty()) return true;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(", "), rest.size());
    if (rest.substr(0, comma) == method) return true;
    rest.remove_prefix(std::min(rest.size(), comma + 2));
  }
  return false;
}

bool is_known_method(std::string_view method) {
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

std::string path_of(std::string_view target) {
  const size_t scheme = target.find("://");
  if (!target.empty() && target.front() != '/' && scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
    target.remove_prefix(std::min(target.find('/'), target.size()));
  }
  target = target.substr(0, target.find_first_of("?#"));
  std::string path;
  for (size_t i = 0; i < target.size(); ++i) {
    const std::optional<char> byte =
        target[i] == '%' ? escaped_byte(target.substr(i)) : std::nullopt;
    path.push_back(byte.value_or(target[i]));
    if (byte) i += 2;
  }
  return path;
}

std::string openapi_document() {
  std::string json =
      "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"FastAPI\",\"version\":\"0.1.0\"},\"paths\":{";
  bool first = true;
  for (const Route& route : kRoutes) {
    if (route.api == WorkerApi::kNotSimulated || route.methods.empty()) continue;
    if (!first) json.push_back(',');
    first = false;
    const bool get = route.methods.substr(0, 3) == "GET";
    json.append("\"").append(route.path).append(get ? "\":{\"get\":{}}" : "\":{\"post\":{}}");
  }
  return json.append("}}");
}

}  // namespace kvasir
