#include "wire/request/grpc_request.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "wire/protobuf_reader.h"

namespace kvasir {
namespace {

constexpr size_t kFrameBytes = 5;  // compressed or not, then the length

// Fields of vllm_engine.proto.
namespace generate {
constexpr uint32_t kTokenized = 2;
constexpr uint32_t kText = 3;
constexpr uint32_t kSampling = 4;
constexpr uint32_t kStream = 5;
}  // namespace generate
constexpr uint32_t kEmbedTokenized = 2;
constexpr uint32_t kInputIds = 2;
constexpr uint32_t kMaxTokens = 8;
// Of Vertex AI's requests, and of google.api.HttpBody in them.
constexpr uint32_t kHttpBody = 2;
constexpr uint32_t kHttpBodyData = 2;

uint32_t bounded(uint64_t number) {
  return static_cast<uint32_t>(std::min<uint64_t>(number, std::numeric_limits<uint32_t>::max()));
}

// A varint ends with the byte whose highest bit is not set.
uint32_t count_varints(std::string_view packed) {
  return static_cast<uint32_t>(std::count_if(packed.begin(), packed.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0x80) == 0;
  }));
}

// TokenizedInput: its ids are one packed field, or (rarely) a field for each.
void read_ids(std::string_view message, RequestPeek& peek) {
  peek.kind = PromptKind::kRawIds;
  peek.prompt = {};
  uint32_t count = 0;
  ProtobufReader reader(message);
  while (reader.next()) {
    if (reader.field() != kInputIds) {
      reader.skip();
    } else if (reader.is_varint()) {
      reader.number();
      peek.prompt = message;
      ++count;
    } else {
      const std::string_view packed = reader.bytes();
      peek.prompt = peek.prompt.empty() ? packed : message;
      count += count_varints(packed);
    }
  }
  peek.prompt_ids = count;
}

void read_sampling(std::string_view message, RequestPeek& peek) {
  ProtobufReader reader(message);
  while (reader.next()) {
    if (reader.field() == kMaxTokens) {
      peek.output_tokens_max = bounded(reader.number());
    } else {
      reader.skip();
    }
  }
}

bool read_generate(std::string_view message, RequestPeek& peek) {
  bool any = false;
  ProtobufReader reader(message);
  while (reader.next()) {
    switch (reader.field()) {
      case generate::kTokenized:
        read_ids(reader.bytes(), peek);
        any = true;
        break;
      case generate::kText:
        peek.kind = PromptKind::kRawText;
        peek.prompt = reader.bytes();
        peek.prompt_ids.reset();
        any = true;
        break;
      case generate::kSampling:
        read_sampling(reader.bytes(), peek);
        break;
      case generate::kStream:
        peek.stream = reader.boolean();
        break;
      default:
        reader.skip();
    }
  }
  return any;
}

bool read_embed(std::string_view message, RequestPeek& peek) {
  bool any = false;
  ProtobufReader reader(message);
  while (reader.next()) {
    if (reader.field() == kEmbedTokenized) {
      read_ids(reader.bytes(), peek);
      any = true;
    } else {
      reader.skip();
    }
  }
  return any;
}

// The last field of that number; nullopt: there is none.
std::optional<std::string_view> last_field(std::string_view message, uint32_t field) {
  std::optional<std::string_view> found;
  ProtobufReader reader(message);
  while (reader.next()) {
    if (reader.field() == field) {
      found = reader.bytes();
    } else {
      reader.skip();
    }
  }
  return found;
}

// The message of the first frame. More than one would be a stream of requests, which nobody sends.
Result<std::string_view> first_message(std::string_view body) {
  if (body.size() < kFrameBytes) return Error{"the gRPC body is shorter than its frame"};
  if (body[0] != 0) return Error{"compressed gRPC messages are not read"};
  uint64_t length = 0;
  for (size_t i = 1; i < kFrameBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(body[i]);
  }
  if (length > body.size() - kFrameBytes) return Error{"the gRPC message is cut short"};
  return body.substr(kFrameBytes, length);
}

Result<RequestPeek> read_vllm(std::string_view message, RequestApi api) {
  RequestPeek peek;
  peek.api = api;
  const bool embeds = api == RequestApi::kVllmGrpcEmbed;
  if (!(embeds ? read_embed(message, peek) : read_generate(message, peek))) {
    return Error{"the gRPC request holds no prompt"};
  }
  if (peek.kind == PromptKind::kRawText &&
      !simdjson::validate_utf8(peek.prompt.data(), peek.prompt.size())) {
    return Error{"the text of the gRPC request is not UTF-8"};
  }
  return peek;
}

Result<RequestPeek> read_vertex_ai(std::string_view message, RequestApi api) {
  const std::optional<std::string_view> http_body = last_field(message, kHttpBody);
  if (!http_body) return Error{"the gRPC request has no http_body"};
  return read_request(last_field(*http_body, kHttpBodyData).value_or(std::string_view()), api);
}

}  // namespace

bool is_grpc(RequestApi api) {
  switch (api) {
    case RequestApi::kVllmGrpcGenerate:
    case RequestApi::kVllmGrpcEmbed:
    case RequestApi::kVertexAiChat:
    case RequestApi::kVertexAiResponses:
      return true;
    default:
      return false;
  }
}

Result<RequestPeek> read_grpc_request(std::string_view body, RequestApi api) {
  const Result<std::string_view> message = first_message(body);
  if (!message) return message.error();
  try {
    if (api == RequestApi::kVertexAiChat) {
      return read_vertex_ai(*message, RequestApi::kChatCompletions);
    }
    if (api == RequestApi::kVertexAiResponses) {
      return read_vertex_ai(*message, RequestApi::kResponses);
    }
    return read_vllm(*message, api);
  } catch (const protozero::exception&) {
    return Error{"the gRPC message is not what its path says"};
  }
}

}  // namespace kvasir
