#include "wire/ext_proc/ext_proc.h"

#include <algorithm>
#include <exception>
#include <string>

#include "base/text.h"
#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

using RequestKind = ExtProcRequest::Kind;

constexpr std::string_view kSubsetNamespace = "envoy.lb.subset_hint";
constexpr std::string_view kSubsetKey = "x-gateway-destination-endpoint-subset";
constexpr std::string_view kServedNamespace = "envoy.lb";
constexpr std::string_view kServedKey = "x-gateway-destination-endpoint-served";

// --- Headers and bodies ----------------------------------------------------------------------------

ExtProcHeader read_header_value(ProtobufReader reader) {
  ExtProcHeader header;
  std::string_view raw;
  while (reader.next()) {
    switch (reader.field()) {
      case 1: header.key = reader.bytes(); break;
      case 2: header.value = reader.bytes(); break;
      case 3: raw = reader.bytes(); break;
      default: reader.skip();
    }
  }
  if (!raw.empty()) header.value = raw;
  return header;
}

void read_header_map(ProtobufReader reader, std::vector<ExtProcHeader>& headers) {
  while (reader.next()) {
    if (reader.field() == 1) {
      headers.push_back(read_header_value(reader.message()));
    } else {
      reader.skip();
    }
  }
}

// HttpHeaders and HttpTrailers: both have their map in field 1, only headers have field 3.
void read_headers(ProtobufReader reader, ExtProcRequest& request) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1: read_header_map(reader.message(), request.headers); break;
      case 3: request.end_of_stream = reader.boolean(); break;
      default: reader.skip();
    }
  }
}

void read_body(ProtobufReader reader, ExtProcRequest& request) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1: request.body = reader.bytes(); break;
      case 2: request.end_of_stream = reader.boolean(); break;
      default: reader.skip();
    }
  }
}

// --- Metadata --------------------------------------------------------------------------------------

// An entry of a map whose values are messages or strings: the key, and the value's bytes.
struct MapEntry {
  std::string_view key;
  std::string_view value;
};

MapEntry read_entry(ProtobufReader reader) {
  MapEntry entry;
  while (reader.next()) {
    switch (reader.field()) {
      case 1: entry.key = reader.bytes(); break;
      case 2: entry.value = reader.bytes(); break;
      default: reader.skip();
    }
  }
  return entry;
}

constexpr uint32_t kStringField = 3;  // of google.protobuf.Value
constexpr uint32_t kListValue = 6;

std::string_view read_string_value(std::string_view value) {
  std::string_view text;
  for (ProtobufReader reader(value); reader.next();) {
    if (reader.field() == kStringField) {
      text = reader.bytes();
    } else {
      reader.skip();
    }
  }
  return text;
}

// Entries that are not strings are left out.
void read_list(ProtobufReader reader, std::vector<std::string_view>& entries) {
  while (reader.next()) {
    if (reader.field() != 1) {
      reader.skip();
      continue;
    }
    const std::string_view text = read_string_value(reader.bytes());
    if (!text.empty()) entries.push_back(text);
  }
}

// nullopt: neither a list nor a string, which counts as absent.
std::optional<std::vector<std::string_view>> read_strings(std::string_view value) {
  std::optional<std::vector<std::string_view>> entries;
  for (ProtobufReader reader(value); reader.next();) {
    if (reader.field() == kStringField) {
      entries.emplace(1, reader.bytes());
    } else if (reader.field() == kListValue) {
      read_list(reader.message(), entries.emplace());
    } else {
      reader.skip();
    }
  }
  return entries;
}

void read_struct(std::string_view space, std::string_view value, ExtProcMetadata& metadata) {
  if (space != kSubsetNamespace && space != kServedNamespace) return;
  for (ProtobufReader reader(value); reader.next();) {
    if (reader.field() != 1) {
      reader.skip();
      continue;
    }
    const MapEntry entry = read_entry(reader.message());
    if (space == kSubsetNamespace && entry.key == kSubsetKey) {
      metadata.subset = read_strings(entry.value);
    } else if (space == kServedNamespace && entry.key == kServedKey) {
      metadata.served_endpoint = read_string_value(entry.value);
    }
  }
}

void read_metadata(ProtobufReader reader, ExtProcMetadata& metadata) {
  while (reader.next()) {
    if (reader.field() == 1) {
      const MapEntry entry = read_entry(reader.message());
      read_struct(entry.key, entry.value, metadata);
    } else {
      reader.skip();
    }
  }
}

// --- The message -----------------------------------------------------------------------------------

ExtProcBodyMode body_mode(uint64_t value) {
  const auto last = static_cast<uint64_t>(ExtProcBodyMode::kGrpc);
  return value <= last ? static_cast<ExtProcBodyMode>(value) : ExtProcBodyMode::kNone;
}

ExtProcProtocol read_protocol(ProtobufReader reader) {
  ExtProcProtocol protocol;
  while (reader.next()) {
    switch (reader.field()) {
      case 1: protocol.request_body_mode = body_mode(reader.number()); break;
      case 2: protocol.response_body_mode = body_mode(reader.number()); break;
      case 3: protocol.body_without_waiting_for_header_response = reader.boolean(); break;
      default: reader.skip();
    }
  }
  return protocol;
}

// The last of several wins, as protobuf has it for a oneof.
void begin(ExtProcRequest& request, RequestKind kind) {
  request.kind = kind;
  request.headers.clear();
  request.body = {};
  request.end_of_stream = false;
}

RequestKind kind_of(uint32_t field) {
  switch (field) {
    case 2: return RequestKind::kRequestHeaders;
    case 3: return RequestKind::kResponseHeaders;
    case 4: return RequestKind::kRequestBody;
    case 5: return RequestKind::kResponseBody;
    case 6: return RequestKind::kRequestTrailers;
    case 7: return RequestKind::kResponseTrailers;
    default: return RequestKind::kNone;
  }
}

void read_request(ProtobufReader reader, ExtProcRequest& request) {
  while (reader.next()) {
    const RequestKind kind = kind_of(reader.field());
    if (kind == RequestKind::kRequestBody || kind == RequestKind::kResponseBody) {
      begin(request, kind);
      read_body(reader.message(), request);
    } else if (kind != RequestKind::kNone) {
      begin(request, kind);
      read_headers(reader.message(), request);
    } else if (reader.field() == 8) {
      read_metadata(reader.message(), request.metadata);
    } else if (reader.field() == 10) {
      request.observability_mode = reader.boolean();
    } else if (reader.field() == 11) {
      request.protocol = read_protocol(reader.message());
    } else {
      reader.skip();
    }
  }
}

}  // namespace

std::optional<std::string_view> ExtProcRequest::header(std::string_view name) const {
  for (const ExtProcHeader& entry : headers) {
    if (entry.key.size() == name.size() &&
        std::equal(name.begin(), name.end(), entry.key.begin(),
                   [](char want, char got) { return want == lower_case(got); })) {
      return entry.value;
    }
  }
  return std::nullopt;
}

Result<void> read_ext_proc_request(std::string_view message, ExtProcRequest& request) {
  begin(request, RequestKind::kNone);
  request.observability_mode = false;
  request.metadata = {};
  request.protocol.reset();
  try {
    read_request(ProtobufReader(message), request);
  } catch (const std::exception& error) {
    return Error{std::string("not an ext_proc ProcessingRequest: ") + error.what()};
  }
  return {};
}

}  // namespace kvasir
