// envoy.service.ext_proc.v3, what a picker needs of it: ProcessingRequest read in place.
//
// Everything read is a view into the message. Unknown fields are skipped; a message that is not protobuf
// is an error. The answers are in ext_proc_response.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct ExtProcHeader {
  std::string_view key;
  std::string_view value;  // raw_value if there is one, else value
};

// envoy.extensions.filters.http.ext_proc.v3.ProcessingMode.BodySendMode
enum class ExtProcBodyMode : uint8_t {
  kNone = 0,
  kStreamed = 1,
  kBuffered = 2,
  kBufferedPartial = 3,
  kFullDuplexStreamed = 4,
  kGrpc = 5,
};

// In the first message of a stream: how Envoy is configured.
struct ExtProcProtocol {
  ExtProcBodyMode request_body_mode = ExtProcBodyMode::kNone;
  ExtProcBodyMode response_body_mode = ExtProcBodyMode::kNone;
  bool body_without_waiting_for_header_response = false;
};

// What the gateway says of endpoints, from metadata_context.filter_metadata.
struct ExtProcMetadata {
  // envoy.lb.subset_hint / x-gateway-destination-endpoint-subset: present even when it lists none. A
  // string is one entry; another kind of value counts as absent. What it allows: wire/ext_proc/subset_match.h.
  std::optional<std::vector<std::string_view>> subset;
  // envoy.lb / x-gateway-destination-endpoint-served
  std::string_view served_endpoint;
};

struct ExtProcRequest {
  enum class Kind : uint8_t {
    kNone,  // none that is known
    kRequestHeaders,
    kResponseHeaders,
    kRequestBody,
    kResponseBody,
    kRequestTrailers,
    kResponseTrailers,
  };

  Kind kind = Kind::kNone;
  std::vector<ExtProcHeader> headers;  // of headers and trailers
  std::string_view body;
  bool end_of_stream = false;  // of headers and bodies
  bool observability_mode = false;
  ExtProcMetadata metadata;
  std::optional<ExtProcProtocol> protocol;

  // The first of that (lower-case) name; keys are compared without regard to case.
  std::optional<std::string_view> header(std::string_view name) const;
};

// Reads `message` into `request`, whose memory is used again.
Result<void> read_ext_proc_request(std::string_view message, ExtProcRequest& request);

}  // namespace kvasir
