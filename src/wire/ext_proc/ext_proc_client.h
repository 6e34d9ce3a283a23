// envoy.service.ext_proc.v3 from the other side, the gateway's: ProcessingRequest written,
// ProcessingResponse read. For programs that drive an endpoint picker as Envoy does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {

// What stands beside headers, body or trailers in a ProcessingRequest.
struct ExtProcContext {
  // metadata_context: envoy.lb.subset_hint / x-gateway-destination-endpoint-subset; nothing: left
  // out
  std::optional<std::vector<std::string_view>> subset;
  // metadata_context: envoy.lb / x-gateway-destination-endpoint-served; empty: left out
  std::string_view served_endpoint;
  std::optional<ExtProcProtocol> protocol;
  bool observability_mode = false;  // the gateway wants no answers
  // A field, an attribute and a filter's metadata that no picker knows, and must skip.
  bool unknown_fields = false;
};

// Each replaces the content of `message`.
void write_headers_request(ExtProcSide side, const std::vector<ExtProcHeader>& headers,
                           bool end_of_stream, const ExtProcContext& context, std::string& message);
void write_body_request(ExtProcSide side, std::string_view body, bool end_of_stream,
                        const ExtProcContext& context, std::string& message);
void write_trailers_request(ExtProcSide side, const std::vector<ExtProcHeader>& trailers,
                            const ExtProcContext& context, std::string& message);

// One string of dynamic_metadata: {space: {key: value}}. Values that are not strings have none.
struct ExtProcMetadataEntry {
  std::string_view space;
  std::string_view key;
  std::optional<std::string_view> value;
};

// A ProcessingResponse, read in place: everything is a view into the message.
struct ExtProcAnswer {
  enum class Kind : uint8_t {
    kNone,  // none that is known
    kRequestHeaders,
    kResponseHeaders,
    kRequestBody,
    kResponseBody,
    kRequestTrailers,
    kResponseTrailers,
    kImmediate,
  };
  enum class Body : uint8_t {
    kUntouched,
    kReplaced,  // by `body`
    kCleared,
    kStreamed,  // `body` is the next piece
  };

  Kind kind = Kind::kNone;
  bool continue_and_replace = false;
  bool clear_route_cache = false;
  std::vector<ExtProcHeader> set_headers;
  std::vector<std::string_view> removed_headers;
  Body body_change = Body::kUntouched;
  std::string_view body;  // an immediate answer's, too
  bool end_of_stream = false;
  uint32_t status = 0;  // of an immediate answer
  std::string_view details;
  std::vector<ExtProcMetadataEntry> metadata;
  bool mode_override = false;

  // The first of that (lower-case) name among set_headers; keys are compared without regard to
  // case.
  std::optional<std::string_view> set_header(std::string_view name) const;
};

// Unknown fields are skipped; what is not protobuf is an error.
Result<ExtProcAnswer> read_ext_proc_answer(std::string_view message);

}  // namespace kvasir
