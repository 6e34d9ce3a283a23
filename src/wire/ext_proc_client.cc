#include "wire/ext_proc_client.h"

#include <algorithm>
#include <cctype>
#include <exception>
#include <protozero/pbf_writer.hpp>
#include <utility>

#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

using protozero::pbf_writer;
using Answer = ExtProcAnswer;
using Kind = ExtProcAnswer::Kind;

void add_text(pbf_writer& writer, uint32_t field, std::string_view text) {
  writer.add_bytes(field, text.data(), text.size());
}

// --- Requests
// --------------------------------------------------------------------------------------

// Fields of ProcessingRequest.
constexpr uint32_t kRequestHeaders = 2;
constexpr uint32_t kRequestBody = 4;
constexpr uint32_t kRequestTrailers = 6;
constexpr uint32_t kMetadataContext = 8;
constexpr uint32_t kAttributes = 9;
constexpr uint32_t kProtocolConfig = 11;
constexpr uint32_t kUnknown = 1000;

uint32_t on_side(ExtProcSide side, uint32_t field) {
  return side == ExtProcSide::kRequest ? field : field + 1;
}

void write_header_map(pbf_writer& parent, const std::vector<ExtProcHeader>& headers) {
  pbf_writer map(parent, 1);
  for (const ExtProcHeader& header : headers) {
    pbf_writer value(map, 1);
    add_text(value, 1, header.key);
    add_text(value, 3, header.value);  // raw_value, as Envoy sends it
  }
}

void write_list(pbf_writer& value, const std::vector<std::string_view>& entries) {
  if (entries.empty()) return value.add_message(6, "", 0);
  pbf_writer list(value, 6);
  for (const std::string_view entry : entries) {
    pbf_writer item(list, 1);
    add_text(item, 3, entry);
  }
}

// filter_metadata[space] = {key: value}, the value written by `write`.
template <class Write>
void write_space(pbf_writer& metadata, std::string_view space, std::string_view key, Write write) {
  pbf_writer entry(metadata, 1);
  add_text(entry, 1, space);
  pbf_writer structure(entry, 2);
  pbf_writer field(structure, 1);
  add_text(field, 1, key);
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
                [&](pbf_writer& value) { add_text(value, 3, context.served_endpoint); });
  }
}

void write_context(pbf_writer& writer, const ExtProcContext& context) {
  write_metadata(writer, context);
  if (context.unknown_fields) {
    pbf_writer attributes(writer, kAttributes);
    add_text(attributes, 1, "kvasir.unknown");
  }
  if (context.protocol) {
    pbf_writer protocol(writer, kProtocolConfig);
    protocol.add_enum(1, static_cast<int32_t>(context.protocol->request_body_mode));
    protocol.add_enum(2, static_cast<int32_t>(context.protocol->response_body_mode));
    protocol.add_bool(3, context.protocol->body_without_waiting_for_header_response);
  }
  if (context.unknown_fields) add_text(writer, kUnknown, "skip me");
}

// --- Answers
// ---------------------------------------------------------------------------------------

ExtProcHeader read_option(ProtobufReader reader) {
  ExtProcHeader header;
  while (reader.next()) {
    if (reader.field() != 1) {
      reader.skip();
      continue;
    }
    std::string_view raw;
    for (ProtobufReader value = reader.message(); value.next();) {
      switch (value.field()) {
        case 1:
          header.key = value.bytes();
          break;
        case 2:
          header.value = value.bytes();
          break;
        case 3:
          raw = value.bytes();
          break;
        default:
          value.skip();
      }
    }
    if (!raw.empty()) header.value = raw;
  }
  return header;
}

void read_header_mutation(ProtobufReader reader, Answer& answer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        answer.set_headers.push_back(read_option(reader.message()));
        break;
      case 2:
        answer.removed_headers.push_back(reader.bytes());
        break;
      default:
        reader.skip();
    }
  }
}

void read_streamed(ProtobufReader reader, Answer& answer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        answer.body = reader.bytes();
        break;
      case 2:
        answer.end_of_stream = reader.boolean();
        break;
      default:
        reader.skip();
    }
  }
}

void read_body_mutation(ProtobufReader reader, Answer& answer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        answer.body_change = Answer::Body::kReplaced;
        answer.body = reader.bytes();
        break;
      case 2:
        if (reader.boolean()) answer.body_change = Answer::Body::kCleared;
        break;
      case 3:
        answer.body_change = Answer::Body::kStreamed;
        read_streamed(reader.message(), answer);
        break;
      default:
        reader.skip();
    }
  }
}

void read_common(ProtobufReader reader, Answer& answer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        answer.continue_and_replace = reader.number() == 1;
        break;
      case 2:
        read_header_mutation(reader.message(), answer);
        break;
      case 3:
        read_body_mutation(reader.message(), answer);
        break;
      case 5:
        answer.clear_route_cache = reader.boolean();
        break;
      default:
        reader.skip();
    }
  }
}

// HeadersResponse and BodyResponse hold a CommonResponse, TrailersResponse a HeaderMutation.
template <class Read>
void read_first(ProtobufReader reader, Answer& answer, Read read) {
  while (reader.next()) {
    if (reader.field() == 1) {
      read(reader.message(), answer);
    } else {
      reader.skip();
    }
  }
}

void read_immediate(ProtobufReader reader, Answer& answer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        for (ProtobufReader status = reader.message(); status.next();) {
          if (status.field() == 1) {
            answer.status = static_cast<uint32_t>(status.number());
          } else {
            status.skip();
          }
        }
        break;
      case 2:
        read_header_mutation(reader.message(), answer);
        break;
      case 3:
        answer.body = reader.bytes();
        break;
      case 5:
        answer.details = reader.bytes();
        break;
      default:
        reader.skip();
    }
  }
}

// {key: value}, the value's kind given by its field: 3 a string, 5 a struct.
struct Entry {
  std::string_view key;
  std::string_view value;
};

Entry read_entry(ProtobufReader reader) {
  Entry entry;
  while (reader.next()) {
    switch (reader.field()) {
      case 1:
        entry.key = reader.bytes();
        break;
      case 2:
        entry.value = reader.bytes();
        break;
      default:
        reader.skip();
    }
  }
  return entry;
}

std::optional<std::string_view> read_kind(std::string_view value, uint32_t kind) {
  std::optional<std::string_view> bytes;
  for (ProtobufReader reader(value); reader.next();) {
    if (reader.field() == kind) {
      bytes = reader.bytes();
    } else {
      reader.skip();
    }
  }
  return bytes;
}

template <class Each>
void for_each_field(std::string_view structure, Each each) {
  for (ProtobufReader reader(structure); reader.next();) {
    if (reader.field() == 1) {
      each(read_entry(reader.message()));
    } else {
      reader.skip();
    }
  }
}

void read_dynamic_metadata(std::string_view structure, Answer& answer) {
  constexpr uint32_t kString = 3, kStruct = 5;
  for_each_field(structure, [&](const Entry& space) {
    const std::optional<std::string_view> inner = read_kind(space.value, kStruct);
    if (!inner) return;
    for_each_field(*inner, [&](const Entry& entry) {
      answer.metadata.push_back({space.key, entry.key, read_kind(entry.value, kString)});
    });
  });
}

// The last of several wins, as protobuf has it for a oneof.
void begin(Answer& answer, Kind kind) {
  std::vector<ExtProcMetadataEntry> metadata = std::move(answer.metadata);
  const bool mode_override = answer.mode_override;
  answer = {};
  answer.kind = kind;
  answer.metadata = std::move(metadata);
  answer.mode_override = mode_override;
}

void read_answer(ProtobufReader reader, Answer& answer) {
  constexpr uint32_t kImmediate = 7, kDynamicMetadata = 8, kModeOverride = 9;
  while (reader.next()) {
    const uint32_t field = reader.field();
    if (field >= 1 && field <= 4) {
      begin(answer, static_cast<Kind>(field));
      read_first(reader.message(), answer, read_common);
    } else if (field == 5 || field == 6) {
      begin(answer, static_cast<Kind>(field));
      read_first(reader.message(), answer, read_header_mutation);
    } else if (field == kImmediate) {
      begin(answer, Kind::kImmediate);
      read_immediate(reader.message(), answer);
    } else if (field == kDynamicMetadata) {
      read_dynamic_metadata(reader.bytes(), answer);
    } else if (field == kModeOverride) {
      answer.mode_override = true;
      reader.skip();
    } else {
      reader.skip();
    }
  }
}

bool equal_but_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

void write_headers_request(ExtProcSide side, const std::vector<ExtProcHeader>& headers,
                           bool end_of_stream, const ExtProcContext& context,
                           std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, on_side(side, kRequestHeaders));
    write_header_map(inner, headers);
    if (end_of_stream) inner.add_bool(3, true);
  }
  if (message.empty()) writer.add_message(on_side(side, kRequestHeaders), "", 0);
  write_context(writer, context);
}

void write_body_request(ExtProcSide side, std::string_view body, bool end_of_stream,
                        const ExtProcContext& context, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, on_side(side, kRequestBody));
    if (!body.empty()) add_text(inner, 1, body);
    if (end_of_stream) inner.add_bool(2, true);
  }
  if (message.empty()) writer.add_message(on_side(side, kRequestBody), "", 0);
  write_context(writer, context);
}

void write_trailers_request(ExtProcSide side, const std::vector<ExtProcHeader>& trailers,
                            const ExtProcContext& context, std::string& message) {
  message.clear();
  pbf_writer writer(message);
  {
    pbf_writer inner(writer, on_side(side, kRequestTrailers));
    if (!trailers.empty()) write_header_map(inner, trailers);
  }
  if (message.empty()) writer.add_message(on_side(side, kRequestTrailers), "", 0);
  write_context(writer, context);
}

std::optional<std::string_view> ExtProcAnswer::set_header(std::string_view name) const {
  for (const ExtProcHeader& header : set_headers) {
    if (equal_but_case(header.key, name)) return header.value;
  }
  return std::nullopt;
}

Result<ExtProcAnswer> read_ext_proc_answer(std::string_view message) {
  ExtProcAnswer answer;
  try {
    read_answer(ProtobufReader(message), answer);
  } catch (const std::exception& error) {
    return Error{std::string("not a ProcessingResponse: ") + error.what()};
  }
  return answer;
}

}  // namespace kvasir
