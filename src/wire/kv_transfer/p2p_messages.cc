#include "wire/kv_transfer/p2p_messages.h"

#include <array>
#include <limits>
#include <span>

#include "base/integer_text.h"
#include "wire/msgpack/msgpack_reader.h"
#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

constexpr std::string_view kBlocksMark = "#blocks.";
constexpr size_t kMembersMost = 32;

// A member's place in a struct: exactly one of them.
struct P2pMember {
  std::string_view name;
  uint64_t* number = nullptr;
  std::string* text = nullptr;  // or bytes
  std::array<uint64_t*, 3> numbers = {};
};

bool read_numbers(MsgpackReader& reader, const MsgpackItem& head, const P2pMember& member) {
  if (head.kind != MsgpackKind::kArray || head.number != member.numbers.size()) return false;
  for (uint64_t* number : member.numbers) {
    const MsgpackItem item = reader.next();
    if (item.kind != MsgpackKind::kInteger || item.negative) return false;
    *number = item.number;
  }
  return true;
}

bool read_member(MsgpackReader& reader, const P2pMember& member) {
  const MsgpackItem item = reader.next();
  if (member.numbers[0] != nullptr) return read_numbers(reader, item, member);
  if (member.number != nullptr) {
    *member.number = item.number;
    return item.kind == MsgpackKind::kInteger && !item.negative;
  }
  *member.text = item.bytes;
  return item.kind == MsgpackKind::kText || item.kind == MsgpackKind::kBytes;
}

// Which members were there, a bit each; an error: it is no such map.
Result<uint32_t> read_members(std::string_view message, std::span<const P2pMember> members) {
  if (message.size() > kP2pMessageBytesMost) return Error{"it is too long"};
  MsgpackReader reader(message);
  const MsgpackItem map = reader.next();
  if (map.kind != MsgpackKind::kMap || map.number > kMembersMost) return Error{"it is no map"};
  uint32_t seen = 0;
  for (uint64_t i = 0; i < map.number; ++i) {
    const MsgpackItem key = reader.next();
    if (key.kind != MsgpackKind::kText) return Error{"a key is no text"};
    size_t at = 0;
    while (at < members.size() && members[at].name != key.bytes) ++at;
    if (at == members.size()) {
      if (!reader.skip()) return Error{reader.fault()};
    } else if (!read_member(reader, members[at])) {
      return Error{std::string(key.bytes) + " is of another type"};
    } else {
      seen |= 1u << at;
    }
  }
  if (!reader.rest().empty()) return Error{"bytes follow it"};
  return seen;
}

void append_pair(std::string& out, std::string_view key, uint64_t value) {
  append_msgpack_text(out, key);
  append_msgpack_number(out, value);
}

void append_pair(std::string& out, std::string_view key, std::string_view value) {
  append_msgpack_text(out, key);
  append_msgpack_text(out, value);
}

}  // namespace

std::string p2p_tensor_id(std::string_view request, uint32_t first, uint32_t count) {
  std::string id(request);
  id.append(kBlocksMark).append(std::to_string(first)).append("-");
  return id.append(std::to_string(uint64_t{first} + count - 1));
}

std::optional<P2pTensorId> read_p2p_tensor_id(std::string_view id) {
  const size_t mark = id.rfind(kBlocksMark);
  if (mark == std::string_view::npos || mark == 0) return std::nullopt;
  const std::string_view range = id.substr(mark + kBlocksMark.size());
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = integer_of<uint32_t>(range.substr(0, dash));
  const auto last = integer_of<uint32_t>(range.substr(dash + 1));
  if (!first || !last || *last < *first || *last == std::numeric_limits<uint32_t>::max()) {
    return std::nullopt;
  }
  return P2pTensorId{id.substr(0, mark), *first, *last - *first + 1};
}

std::string write_p2p_command(const P2pCommand& command) {
  using Kind = P2pCommand::Kind;
  std::string out;
  switch (command.kind) {
    case Kind::kNew:
      append_msgpack_map(out, 3);
      append_pair(out, "cmd", "NEW");
      append_msgpack_text(out, "unique_id");
      append_msgpack_bytes(out, command.unique_id);
      append_pair(out, "fingerprint", command.fingerprint);
      break;
    case Kind::kPut:
      append_msgpack_map(out, 6);
      append_pair(out, "cmd", "PUT");
      append_pair(out, "tensor_id", command.tensor_id);
      append_msgpack_text(out, "shape");
      append_msgpack_array(out, 3);
      for (const uint64_t size : {command.blocks, command.layers, command.values}) {
        append_msgpack_number(out, size);
      }
      append_pair(out, "dtype", command.dtype);
      append_pair(out, "number", command.number);
      append_pair(out, "last_block", command.last_block);
      break;
    case Kind::kGet:
      append_msgpack_map(out, 5);
      append_pair(out, "cmd", "GET");
      append_pair(out, "tensor_id", command.tensor_id);
      append_pair(out, "dtype", command.dtype);
      append_pair(out, "number", command.number);
      append_pair(out, "last_block", command.last_block);
      break;
    case Kind::kDrop:
      append_msgpack_map(out, 2);
      append_pair(out, "cmd", "DROP");
      append_pair(out, "tensor_id", command.tensor_id);
      break;
  }
  return out;
}

Result<P2pCommand> read_p2p_command(std::string_view message) {
  using Kind = P2pCommand::Kind;
  P2pCommand command;
  std::string cmd;
  const P2pMember members[] = {
      {"cmd", nullptr, &cmd},
      {"unique_id", nullptr, &command.unique_id},
      {"fingerprint", &command.fingerprint},
      {"tensor_id", nullptr, &command.tensor_id},
      {"dtype", nullptr, &command.dtype},
      {"shape", nullptr, nullptr, {&command.blocks, &command.layers, &command.values}},
      {"number", &command.number},
      {"last_block", &command.last_block},
  };
  const Result<uint32_t> seen = read_members(message, members);
  if (!seen) return seen.error();

  struct Needs {
    std::string_view name;
    Kind kind;
    uint32_t members;  // bits of those above
  };
  constexpr Needs kCommands[] = {{"NEW", Kind::kNew, 0b00000111},
                                 {"PUT", Kind::kPut, 0b11111001},
                                 {"GET", Kind::kGet, 0b11011001},
                                 {"DROP", Kind::kDrop, 0b00001001}};
  for (const Needs& needs : kCommands) {
    if (needs.name != cmd) continue;
    if ((*seen & needs.members) != needs.members) {
      return Error{cmd + " without members that it needs: its sender speaks NCCL"};
    }
    command.kind = needs.kind;
    return command;
  }
  return Error{"it is no command"};
}

std::string write_p2p_reply(const P2pReply& reply) {
  std::string out;
  append_msgpack_map(out, 3);
  append_pair(out, "ret", reply.ret);
  append_pair(out, "port", reply.port);
  append_msgpack_text(out, "token");
  append_msgpack_bytes(out, reply.token);
  return out;
}

Result<P2pReply> read_p2p_reply(std::string_view message) {
  P2pReply reply;
  const P2pMember members[] = {
      {"ret", &reply.ret}, {"port", &reply.port}, {"token", nullptr, &reply.token}};
  const Result<uint32_t> seen = read_members(message, members);
  if (!seen) return seen.error();
  if ((*seen & 1) == 0) return Error{"it says no ret"};
  return reply;
}

}  // namespace kvasir
