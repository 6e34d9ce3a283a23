#include "wire/kv_transfer/nixl_handshake.h"

#include <limits>

#include "wire/msgpack/msgpack_reader.h"
#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

constexpr std::string_view kMetaQuestion = "get_meta_msg";
constexpr std::string_view kCompatibility = "compatibility_hash";
constexpr std::string_view kAgentBytes = "agent_metadata_bytes";
constexpr std::string_view kSimulated = "kvasir_worker";  // its value: the version
constexpr size_t kNameBytesMost = 1024;

struct TextMember {
  std::string_view key;
  std::string NixlAgent::*value;
};
constexpr TextMember kAgentTexts[] = {{kSimulated, &NixlAgent::version},
                                      {"engine_id", &NixlAgent::engine_id},
                                      {"model", &NixlAgent::model},
                                      {"shared_name", &NixlAgent::shared_name},
                                      {"machine", &NixlAgent::machine}};
struct NumberMember {
  std::string_view key;
  uint64_t NixlAgent::*value;
};
constexpr NumberMember kAgentNumbers[] = {{"num_blocks", &NixlAgent::blocks},
                                          {"block_bytes", &NixlAgent::block_bytes},
                                          {"block_size", &NixlAgent::block_size},
                                          {"layers", &NixlAgent::layers},
                                          {"lease_ms", &NixlAgent::lease_ms}};
constexpr std::string_view kDataPort = "data_port";
constexpr size_t kAgentMembers = std::size(kAgentTexts) + std::size(kAgentNumbers) + 1;

bool is_text(const MsgpackItem& item) {
  return item.kind == MsgpackKind::kText || item.kind == MsgpackKind::kBytes;
}

std::string write_agent(const NixlAgent& agent) {
  std::string out;
  append_msgpack_map(out, kAgentMembers);
  for (const TextMember& member : kAgentTexts) {
    append_msgpack_text(out, member.key);
    append_msgpack_text(out, agent.*member.value);
  }
  for (const NumberMember& member : kAgentNumbers) {
    append_msgpack_text(out, member.key);
    append_msgpack_number(out, agent.*member.value);
  }
  append_msgpack_text(out, kDataPort);
  append_msgpack_number(out, agent.data_port);
  return out;
}

// One value of a map. False: it is not what its key calls for.
bool read_agent_member(std::string_view key, MsgpackReader& reader, NixlAgent& agent,
                       size_t& known) {
  for (const TextMember& member : kAgentTexts) {
    if (member.key != key) continue;
    const MsgpackItem item = reader.next();
    if (item.kind != MsgpackKind::kText || item.bytes.size() > kNameBytesMost) return false;
    agent.*member.value = std::string(item.bytes);
    ++known;
    return true;
  }
  for (const NumberMember& member : kAgentNumbers) {
    if (member.key != key) continue;
    const MsgpackItem item = reader.next();
    agent.*member.value = item.number;
    ++known;
    return item.kind == MsgpackKind::kInteger && !item.negative;
  }
  if (key != kDataPort) return reader.skip();
  const MsgpackItem item = reader.next();
  agent.data_port = static_cast<uint16_t>(item.number);
  ++known;
  return item.kind == MsgpackKind::kInteger && !item.negative && item.number > 0 &&
         item.number <= std::numeric_limits<uint16_t>::max();
}

// nullopt: it is another engine's, whatever else is in it.
std::optional<NixlAgent> read_agent(std::string_view bytes) {
  MsgpackReader reader(bytes);
  const MsgpackItem map = reader.next();
  if (map.kind != MsgpackKind::kMap) return std::nullopt;
  NixlAgent agent;
  size_t known = 0;
  for (uint64_t i = 0; i < map.number; ++i) {
    const MsgpackItem key = reader.next();
    if (!is_text(key) || !read_agent_member(key.bytes, reader, agent, known)) return std::nullopt;
  }
  // Members that stand twice are counted twice: then it is nothing that a worker wrote.
  if (known != kAgentMembers || agent.version.empty() || agent.engine_id.empty()) {
    return std::nullopt;
  }
  return agent;
}

}  // namespace

std::string write_nixl_question(const NixlQuestion& question) {
  std::string out;
  append_msgpack_array(out, 3);
  append_msgpack_bytes(out, kMetaQuestion);
  append_msgpack_number(out, question.pipeline_rank);
  append_msgpack_number(out, question.tensor_rank);
  return out;
}

Result<NixlQuestion> read_nixl_question(std::string_view message) {
  MsgpackReader reader(message);
  const MsgpackItem list = reader.next();
  const bool either = list.kind == MsgpackKind::kArray && (list.number == 2 || list.number == 3);
  if (!either) return Error{"it is no list of two or three values"};
  const MsgpackItem name = reader.next();
  if (!is_text(name) || name.bytes != kMetaQuestion) return Error{"it does not ask get_meta_msg"};
  uint64_t ranks[2] = {};  // of two values, the second one is the tensor rank
  for (size_t i = 3 - list.number; i < 2; ++i) {
    const MsgpackItem rank = reader.next();
    if (rank.kind != MsgpackKind::kInteger || rank.negative) return Error{"its rank is no number"};
    ranks[i] = rank.number;
  }
  return NixlQuestion{ranks[0], ranks[1]};
}

std::string write_nixl_handshake(const NixlHandshake& handshake) {
  std::string out;
  append_msgpack_map(out, 2);
  append_msgpack_text(out, kCompatibility);
  append_msgpack_text(out, handshake.compatibility_hash);
  append_msgpack_text(out, kAgentBytes);
  append_msgpack_bytes(out, handshake.agent ? write_agent(*handshake.agent) : std::string());
  return out;
}

Result<NixlHandshake> read_nixl_handshake(std::string_view message) {
  MsgpackReader reader(message);
  const MsgpackItem map = reader.next();
  if (map.kind != MsgpackKind::kMap) return Error{"the answer is no msgpack map"};
  NixlHandshake handshake;
  bool has_agent = false;
  for (uint64_t i = 0; i < map.number; ++i) {
    const MsgpackItem key = reader.next();
    if (!is_text(key)) return Error{"the answer is no map of names"};
    if (key.bytes != kCompatibility && key.bytes != kAgentBytes) {
      if (!reader.skip()) return Error{std::string("the answer breaks off: ") + reader.fault()};
      continue;
    }
    const MsgpackItem value = reader.next();
    if (!is_text(value)) return Error{std::string(key.bytes) + " is no text"};
    if (key.bytes == kAgentBytes) {
      has_agent = true;
      handshake.agent = read_agent(value.bytes);
    } else if (value.bytes.size() > kNameBytesMost) {
      return Error{"compatibility_hash is too long"};
    } else {
      handshake.compatibility_hash = std::string(value.bytes);
    }
  }
  if (handshake.compatibility_hash.empty()) return Error{"compatibility_hash is missing"};
  if (!has_agent) return Error{"agent_metadata_bytes is missing"};
  return handshake;
}

}  // namespace kvasir
