#include "wire/ext_proc/ext_proc_client.h"

#include <protozero/pbf_writer.hpp>

namespace kvasir {
namespace {

using protozero::pbf_writer;

void add_text_field(pbf_writer& writer, uint32_t field, std::string_view text) {
  writer.add_bytes(field, text.data(), text.size());
}

// Fields of ProcessingRequest.
constexpr uint32_t kRequestHeadersField = 2;
constexpr uint32_t kRequestBodyField = 4;
constexpr uint32_t kRequestTrailersField = 6;
constexpr uint32_t kMetadataContext = 8;
constexpr uint32_t kAttributes = 9;
constexpr uint32_t kObservabilityMode = 10;
constexpr uint32_t kProtocolConfig = 11;
constexpr uint32_t kUnknown = 1000;

uint32_t field_on_side(ExtProcSide side, uint32_t field) {
  return side == ExtProcSide::kRequest ? field : field + 1;
}

void write_header_map(pbf_writer& parent, const std::vector<ExtProcHeader>& headers) {
  pbf_writer map(parent, 1);
  for (const ExtProcHeader& header : headers) {
    pbf_writer value(map, 1);
    add_text_field(value, 1, header.key);
    add_text_field(value, 3, header.value);  // raw_value, as Envoy sends it
  }
}

void write_list(pbf_writer& value, const std::vector<std::string_view>& entries) {
  if (entries.empty()) return value.add_message(6, "", 0);
  pbf_writer list(value, 6);
  for (const std::string_view entry : entries) {
    pbf_writer item(list, 1);
    add_text_field(item, 3, entry);
  }
}

// filter_metadata[space] = {key: value}, the value written by `write`.
template <class Write>
void write_space(pbf_writer& metadata, std::string_view space, std::string_view key, Write write) {
  pbf_writer entry(metadata, 1);
  add_text_field(entry, 1, space);
  pbf_writer structure(entry, 2);
  pbf_writer field(structure, 1);
  add_text_field(field, 1, key);
  pbf_writer value(field, 2);
  write(value);
}

void write_metadata(pbf_writer& writer, const ExtProcContext& context) {
  if (!context.subset && context.served_endpoint.empty() && !context.unknown_fields) return;
  pbf_writer metadata(writer, kMetadataContext);
  if (context.unknown_fields) {
    write_space(metadata, "kvasir.unknown", "anything",
                [](pbf_writer& value) { value.add_double(2, 1.5); });
  }
  if (context.subset) {
    write_space(metadata, "envoy.lb.subset_hint", "x-gateway-destination-endpoint-subset",
                [&](pbf_writer& value) { write_list(value, *context.subset); });
  }
  if (!context.served_endpoint.empty()) {
    write_space(metadata, "envoy.lb", "x-gateway-destination-endpoint-served",
                [&](pbf_writer& value) { add_text_field(value, 3, context.served_endpoint); });
  }
}

void write_context(pbf_writer& writer, const ExtProcContext& context) {
  write_metadata(writer, context);
  if (context.unknown_fields) {
    pbf_writer attributes(writer, kAttributes);
    add_text_field(attributes, 1, "kvasir.unknown");
  }
  if (context.observability_mode) writer.add_bool(kObservabilityMode, true);
  if (context.protocol) {
    pbf_writer protocol(writer, kProtocolConfig);
    protocol.add_enum(1, static_cast<int32_t>(context.protocol->request_body_mode));
    protocol.add_enum(2, static_cast<int32_t>(context.protocol->response_body_mode));
    protocol.add_bool(3, context.protocol->body_without_waiting_for_header_response);
  }
  if (context.unknown_fields) add_text_field(writer, kUnknown, "skip me");
}

}  // namespace

void write_headers_request(ExtProcSide side, const std::vector<ExtProcHeader>& headers,
                           bool end_of_stream, const ExtProcContext& context,
                           std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, field_on_side(side, kRequestHeadersField));
    write_header_map(inner, headers);
    if (end_of_stream) inner.add_bool(3, true);
  }
  if (message.empty()) writer.add_message(field_on_side(side, kRequestHeadersField), "", 0);
  write_context(writer, context);
}

void write_body_request(ExtProcSide side, std::string_view body, bool end_of_stream,
                        const ExtProcContext& context, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, field_on_side(side, kRequestBodyField));
    if (!body.empty()) add_text_field(inner, 1, body);
    if (end_of_stream) inner.add_bool(2, true);
  }
  if (message.empty()) writer.add_message(field_on_side(side, kRequestBodyField), "", 0);
  write_context(writer, context);
}

void write_trailers_request(ExtProcSide side, const std::vector<ExtProcHeader>& trailers,
                            const ExtProcContext& context, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, field_on_side(side, kRequestTrailersField));
    if (!trailers.empty()) write_header_map(inner, trailers);
  }
  if (message.empty()) writer.add_message(field_on_side(side, kRequestTrailersField), "", 0);
  write_context(writer, context);
}

}  // namespace kvasir
