#include <exception>
#include <utility>

#include "base/text.h"
#include "wire/ext_proc/ext_proc_client.h"
#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

using Answer = ExtProcAnswer;
using ExtProcKind = ExtProcAnswer::Kind;

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

Entry read_answer_entry(ProtobufReader reader) {
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
      each(read_answer_entry(reader.message()));
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
void begin(Answer& answer, ExtProcKind kind) {
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
      begin(answer, static_cast<ExtProcKind>(field));
      read_first(reader.message(), answer, read_common);
    } else if (field == 5 || field == 6) {
      begin(answer, static_cast<ExtProcKind>(field));
      read_first(reader.message(), answer, read_header_mutation);
    } else if (field == kImmediate) {
      begin(answer, ExtProcKind::kImmediate);
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

}  // namespace

std::optional<std::string_view> ExtProcAnswer::set_header(std::string_view name) const {
  for (const ExtProcHeader& header : set_headers) {
    if (equal_ignoring_case(header.key, name)) return header.value;
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
