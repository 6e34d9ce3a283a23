#include "wire/kv_transfer/nixl_data.h"

#include <limits>
#include <optional>

#include "base/little_endian.h"
#include "wire/msgpack/msgpack_reader.h"
#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

constexpr uint8_t kHeadMark = 0x4b;  // what is no frame is noticed at its first byte
constexpr size_t kKindAt = 1, kBodyAt = 4, kIdAt = 8;

Error no_such(std::string_view what) {
  return Error{"a frame that is no " + std::string(what)};
}

// Reads a list of values of known kinds. After a first fault everything is empty.
class BodyReader {
 public:
  BodyReader(std::string_view body, uint64_t values) : reader_(body) {
    const MsgpackItem list = reader_.next();
    sound_ = list.kind == MsgpackKind::kArray && list.number == values;
  }

  std::string_view text() { return item(MsgpackKind::kText).bytes; }
  uint64_t number(uint64_t most = std::numeric_limits<uint64_t>::max()) {
    const MsgpackItem of = item(MsgpackKind::kInteger);
    sound_ = sound_ && !of.negative && of.number <= most;
    return sound_ ? of.number : 0;
  }
  // How many values follow; of no list, none.
  uint64_t list() { return item(MsgpackKind::kArray).number; }
  // Whether everything was there, and nothing else is.
  bool ends_well() const { return sound_ && reader_.rest().empty(); }
  bool sound() const { return sound_; }

 private:
  MsgpackItem item(MsgpackKind kind) {
    if (!sound_) return {};
    MsgpackItem found = reader_.next();
    sound_ = found.kind == kind;
    return sound_ ? found : MsgpackItem{};
  }

  MsgpackReader reader_;
  bool sound_ = false;
};

}  // namespace

void write_nixl_frame_head(const NixlFrameHead& head, char* to) {
  put_little_endian(uint32_t{kHeadMark}, to);
  to[kKindAt] = static_cast<char>(head.kind);
  put_little_endian(head.body_bytes, to + kBodyAt);
  put_little_endian(head.id, to + kIdAt);
}

void append_nixl_frame(std::string& out, NixlFrameKind kind, uint64_t id, std::string_view body) {
  char head[NixlFrameHead::kBytes];
  write_nixl_frame_head({kind, static_cast<uint32_t>(body.size()), id}, head);
  out.append(head, sizeof head).append(body);
}

Result<NixlFrameHead> read_nixl_frame_head(const char* from) {
  const auto kind = static_cast<uint8_t>(from[kKindAt]);
  const bool known = kind >= static_cast<uint8_t>(NixlFrameKind::kHello) &&
                     kind <= static_cast<uint8_t>(NixlFrameKind::kNoted);
  if (static_cast<uint8_t>(from[0]) != kHeadMark || !known) return no_such("frame of a worker");
  return NixlFrameHead{static_cast<NixlFrameKind>(kind),
                       read_little_endian<uint32_t>(from + kBodyAt),
                       read_little_endian<uint64_t>(from + kIdAt)};
}

std::string write_nixl_hello(const NixlHello& hello) {
  std::string out;
  append_msgpack_array(out, 2);
  append_msgpack_text(out, hello.engine_id);
  append_msgpack_text(out, hello.compatibility_hash);
  return out;
}

Result<NixlHello> read_nixl_hello(std::string_view body) {
  BodyReader reader(body, 2);
  NixlHello hello;
  hello.engine_id = std::string(reader.text());
  hello.compatibility_hash = std::string(reader.text());
  if (!reader.ends_well()) return no_such("hello");
  return hello;
}

std::string write_nixl_read(const NixlRead& read) {
  std::string out;
  append_msgpack_array(out, 5);
  append_msgpack_text(out, read.request_id);
  append_msgpack_number(out, read.chain);
  append_msgpack_number(out, static_cast<uint64_t>(read.encoding));
  append_msgpack_number(out, read.by_layers ? 1 : 0);
  append_msgpack_array(out, read.blocks.size());
  for (const uint32_t block : read.blocks) append_msgpack_number(out, block);
  return out;
}

Result<NixlRead> read_nixl_read(std::string_view body) {
  BodyReader reader(body, 5);
  NixlRead read;
  read.request_id = std::string(reader.text());
  read.chain = reader.number();
  read.encoding =
      static_cast<NixlEncoding>(reader.number(static_cast<uint64_t>(NixlEncoding::kShared)));
  read.by_layers = reader.number(1) == 1;
  const uint64_t blocks = reader.list();
  for (uint64_t i = 0; i < blocks && reader.sound(); ++i) {
    read.blocks.push_back(
        static_cast<uint32_t>(reader.number(std::numeric_limits<uint32_t>::max())));
  }
  if (!reader.ends_well() || read.blocks.empty()) return no_such("read of blocks");
  return read;
}

std::string write_nixl_done(const NixlDone& done) {
  std::string out;
  append_msgpack_array(out, 2);
  append_msgpack_text(out, done.request_id);
  append_msgpack_number(out, done.blocks);
  return out;
}

Result<NixlDone> read_nixl_done(std::string_view body) {
  BodyReader reader(body, 2);
  NixlDone done;
  done.request_id = std::string(reader.text());
  done.blocks = reader.number();
  if (!reader.ends_well()) return no_such("note that all was read");
  return done;
}

std::string write_nixl_beat(const std::vector<std::string_view>& request_ids) {
  std::string out;
  append_msgpack_array(out, 1);
  append_msgpack_array(out, request_ids.size());
  for (const std::string_view id : request_ids) append_msgpack_text(out, id);
  return out;
}

Result<std::vector<std::string_view>> read_nixl_beat(std::string_view body) {
  BodyReader reader(body, 1);
  std::vector<std::string_view> ids;
  const uint64_t count = reader.list();
  for (uint64_t i = 0; i < count && reader.sound(); ++i) ids.push_back(reader.text());
  if (!reader.ends_well()) return no_such("heartbeat");
  return ids;
}

std::string write_nixl_end(const NixlEnd& end) {
  std::string out;
  append_msgpack_array(out, 2);
  append_msgpack_number(out, static_cast<uint64_t>(end.status));
  append_msgpack_text(out, end.problem);
  return out;
}

Result<NixlEnd> read_nixl_end(std::string_view body) {
  BodyReader reader(body, 2);
  NixlEnd end;
  end.status =
      static_cast<NixlEnd::Status>(reader.number(static_cast<uint64_t>(NixlEnd::Status::kStopped)));
  end.problem = std::string(reader.text());
  if (!reader.ends_well()) return no_such("end of a read");
  return end;
}

}  // namespace kvasir
