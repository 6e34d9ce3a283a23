// Which paths a worker has, and which methods they take: the table of vLLM 0.32.0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

enum class WorkerApi : uint8_t {
  kCompletions,
  kChatCompletions,
  kInvocations,  // either of the two, by the fields of the body
  kModels,
  kTokenize,
  kDetokenize,
  kHealth,
  kVersion,
  kLoad,
  kMetrics,
  kResetPrefixCache,
  kOpenApi,
  kDocs,
  kNotSimulated,  // vLLM has it, this worker does not
};

struct Route {
  std::string_view path;
  WorkerApi api;
  // What the Allow header says; empty: any method.
  std::string_view methods;
};

// The route of a decoded path; nullptr when there is none.
const Route* find_route(std::string_view path);
bool takes_method(const Route& route, std::string_view method);

// Whether the method is one that an HTTP server knows at all.
bool is_known_method(std::string_view method);

// The path of a request target: without scheme, host, query and fragment, percent escapes decoded.
std::string path_of(std::string_view target);

// The OpenAPI document that lists the routes.
std::string openapi_document();

}  // namespace kvasir
