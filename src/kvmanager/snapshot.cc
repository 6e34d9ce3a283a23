#include "kvmanager/snapshot.h"

#include <algorithm>
#include <type_traits>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

constexpr std::string_view kSnapshotMagic = "KVSNAP1\n";

template <class Integer>
void put(Integer value, std::string& bytes) {
  static_assert(std::is_unsigned_v<Integer>);
  for (size_t i = 0; i < sizeof value; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}
void put_name(std::string_view name, std::string& bytes) {
  name = name.substr(0, UINT16_MAX);
  put(static_cast<uint16_t>(name.size()), bytes);
  bytes.append(name);
}

// Reads from the front; once something is missing, everything is.
class SnapshotReader {
 public:
  explicit SnapshotReader(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(size_t size) {
    if (bytes_.size() < size) {
      cut_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  template <class Integer>
  Integer number() {
    Integer value = 0;
    size_t shift = 0;
    for (const char byte : take(sizeof value)) {
      value =
          static_cast<Integer>(value | (static_cast<Integer>(static_cast<uint8_t>(byte)) << shift));
      shift += 8;
    }
    return value;
  }
  std::string name() { return std::string(take(number<uint16_t>())); }
  size_t left() const { return bytes_.size(); }
  bool cut() const { return cut_; }

 private:
  std::string_view bytes_;
  bool cut_ = false;
};

KvSnapshot::Source read_snapshot_source(SnapshotReader& reader) {
  KvSnapshot::Source source;
  source.pod = reader.name();
  source.rank = reader.number<uint32_t>();
  const bool known = reader.number<uint8_t>() != 0;
  KvStreamPosition position;
  position.number = reader.number<uint64_t>();
  position.hash = reader.number<uint64_t>();
  position.complete = reader.number<uint8_t>() != 0;
  if (known) source.position = position;
  return source;
}

Result<void> check_snapshot_places(const KvSnapshot& snapshot) {
  for (const KvSnapshot::Holder& holder : snapshot.holders) {
    if (holder.source >= snapshot.sources.size())
      return Error{"a holder of a source that is not there"};
  }
  return {};
}

}  // namespace

std::string write_snapshot(const KvSnapshot& snapshot) {
  std::string bytes(kSnapshotMagic);
  bytes.reserve(4096 + snapshot.blocks.size());
  put(static_cast<uint32_t>(snapshot.adapters.size()), bytes);
  for (const std::string& adapter : snapshot.adapters) put_name(adapter, bytes);
  put(static_cast<uint32_t>(snapshot.sources.size()), bytes);
  for (const KvSnapshot::Source& source : snapshot.sources) {
    const KvStreamPosition position = source.position.value_or(KvStreamPosition{});
    put_name(source.pod, bytes);
    put(source.rank, bytes);
    put(static_cast<uint8_t>(source.position.has_value()), bytes);
    put(position.number, bytes);
    put(position.hash, bytes);
    put(static_cast<uint8_t>(position.complete), bytes);
  }
  put(static_cast<uint32_t>(snapshot.holders.size()), bytes);
  for (const KvSnapshot::Holder& holder : snapshot.holders) {
    put(holder.source, bytes);
    put(holder.group, bytes);
    put(holder.block_tokens, bytes);
  }
  put(static_cast<uint64_t>(snapshot.blocks.size()), bytes);
  bytes.append(snapshot.blocks);
  put(uint64_t{XXH3_64bits(bytes.data(), bytes.size())}, bytes);
  return bytes;
}

Result<KvSnapshot> read_snapshot(std::string_view bytes) {
  if (bytes.substr(0, kSnapshotMagic.size()) != kSnapshotMagic) {
    return Error{"not a snapshot of a KV-cache manager"};
  }
  if (bytes.size() < kSnapshotMagic.size() + sizeof(uint64_t)) return Error{"it is cut off"};
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint64_t));
  if (SnapshotReader(bytes.substr(body.size())).number<uint64_t>() !=
      XXH3_64bits(body.data(), body.size())) {
    return Error{"its checksum is wrong: it is cut off or damaged"};
  }
  SnapshotReader reader(body.substr(kSnapshotMagic.size()));
  KvSnapshot snapshot;
  for (uint32_t left = reader.number<uint32_t>(); left > 0 && !reader.cut(); --left) {
    snapshot.adapters.push_back(reader.name());
  }
  for (uint32_t left = reader.number<uint32_t>(); left > 0 && !reader.cut(); --left) {
    snapshot.sources.push_back(read_snapshot_source(reader));
  }
  for (uint32_t left = reader.number<uint32_t>(); left > 0 && !reader.cut(); --left) {
    KvSnapshot::Holder holder;
    holder.source = reader.number<uint32_t>();
    holder.group = reader.number<uint32_t>();
    holder.block_tokens = reader.number<uint32_t>();
    snapshot.holders.push_back(holder);
  }
  const auto blocks = reader.number<uint64_t>();
  if (reader.cut() || blocks != reader.left()) return Error{"its lengths do not add up"};
  snapshot.blocks = reader.take(reader.left());
  if (Result<void> checked = check_snapshot_places(snapshot); !checked) return checked.error();
  return snapshot;
}

}  // namespace kvasir
