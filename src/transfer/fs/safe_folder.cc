#include "transfer/fs/safe_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/integer_text.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kSegmentSuffix = ".kv";
// A file system's clock may stand still so long; a change within it can go unseen.
constexpr time_t kCoarseSeconds = 2;

bool earlier(const timespec& a, const timespec& b) {
  return std::pair(a.tv_sec, a.tv_nsec) < std::pair(b.tv_sec, b.tv_nsec);
}

timespec wall_clock() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

bool is_segment_name(std::string_view name) {
  return name.size() == 16 + kSegmentSuffix.size() && name.substr(16) == kSegmentSuffix;
}

}  // namespace

SafeFolder::SafeFolder(const std::string& path, uint64_t fingerprint, size_t block_bytes,
                       const SafeFolderOptions& options)
    : folder_(path + "/kvasir-" + hexadecimal(fingerprint)),
      fingerprint_(fingerprint),
      block_bytes_(block_bytes),
      options_(options) {}

FoundBlocks SafeFolder::find(const StoredPrompt& prompt) {
  if (const Result<void> known = refresh(); !known) return {0, true, known.error().message};
  remove_expired();
  FoundBlocks found;
  for (const BlockHash block : prompt.blocks) {
    if (places_.count(block) == 0) break;
    ++found.blocks;
  }
  found.nothing_to_save = found.blocks == prompt.blocks.size();
  return found;
}

LoadedBlocks SafeFolder::load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                              std::span<std::byte> into) {
  LoadedBlocks loaded;
  const size_t size = block_bytes_;
  std::string open;  // the segment that is
  Result<StoreFile> file = Error{};
  for (uint32_t i = 0; i < count; ++i) {
    const auto place = places_.find(prompt.blocks[first + i]);
    if (place == places_.end()) {
      loaded.problem = "they were removed";
      return loaded;
    }
    const auto segment = place->second.segment;
    const uint32_t index = place->second.index;
    if (open != segment->first) {
      open = segment->first;
      file = StoreFile::open(path_of(open));
      // Used now, for whoever makes room.
      if (file) utimensat(AT_FDCWD, path_of(open).c_str(), nullptr, 0);
      segment->second.used = wall_clock();
    }
    const std::span<std::byte> block = into.subspan(i * size, size);
    const Result<void> read =
        file ? file->read(segment->second.header.header_bytes() + index * size, block)
             : Result<void>(file.error());
    const bool sound = read && kv_checksum(block) == segment->second.header.checksums[index];
    if (!sound) {
      loaded.problem =
          read ? path_of(open) + ": a block's checksum is wrong" : read.error().message;
      remove(segment);
      return loaded;
    }
    ++loaded.blocks;
  }
  return loaded;
}

Result<void> SafeFolder::save(const StoredPrompt& prompt, std::span<const std::byte> bytes) {
  if (const Result<void> known = refresh(); !known) return known;
  remove_expired();
  Segment segment;
  segment.header.fingerprint = fingerprint_;
  segment.header.block_bytes = static_cast<uint32_t>(block_bytes_);
  const size_t size = block_bytes_;
  std::vector<std::span<const std::byte>> pieces(1);  // the header comes first
  for (size_t i = 0; i < prompt.blocks.size(); ++i) {
    if (places_.count(prompt.blocks[i]) > 0) continue;
    const std::span<const std::byte> block = bytes.subspan(i * size, size);
    segment.header.blocks.push_back(prompt.blocks[i]);
    segment.header.checksums.push_back(kv_checksum(block));
    pieces.push_back(block);
  }
  if (segment.header.blocks.empty()) return {};
  if (segment.header.blocks.size() > SegmentHeader::kBlocksMost) {
    return Error{"it has more than " + std::to_string(SegmentHeader::kBlocksMost) + " blocks"};
  }
  segment.bytes = segment.header.header_bytes() + segment.header.blocks.size() * size;
  if (options_.bytes_max > 0 && segment.bytes > options_.bytes_max) {
    return Error{"its " + std::to_string(segment.bytes) + " bytes are more than max_bytes"};
  }
  make_room(segment.bytes);

  const auto hashes = std::as_bytes(std::span(segment.header.blocks));
  const std::string name = hexadecimal(kv_checksum(hashes)) + std::string(kSegmentSuffix);
  const std::string unfinished = unfinished_path(folder_);
  const std::string header = write_segment_header(segment.header);
  pieces.front() = bytes_of(header);
  NewStoreFiles file;
  Result<void> done = file.write(unfinished, pieces);
  if (done) done = file.finish();
  if (done) done = rename_path(unfinished, path_of(name));
  if (done) done = sync_folder(folder_);
  if (!done) {
    remove_path(unfinished);
    return done;
  }
  segment.used = wall_clock();
  insert(name, std::move(segment));
  return {};
}

Result<void> SafeFolder::refresh() {
  struct stat status {};
  if (stat(folder_.c_str(), &status) != 0) {
    if (const Result<void> made = make_folders(folder_); !made) return made;
    if (stat(folder_.c_str(), &status) != 0) return Error{folder_ + " cannot be read"};
    settled_ = false;
  }
  const bool same =
      status.st_mtim.tv_sec == scanned_.tv_sec && status.st_mtim.tv_nsec == scanned_.tv_nsec;
  if (same && settled_) return {};
  scanned_ = status.st_mtim;
  settled_ = scanned_.tv_sec + kCoarseSeconds < wall_clock().tv_sec;
  return scan();
}

Result<void> SafeFolder::scan() {
  if (segments_.empty()) remove_unfinished(folder_);
  const Result<std::vector<std::string>> names = list_folder(folder_, options_.files_max);
  if (!names) return names.error();
  std::set<std::string_view> there;
  for (const std::string& name : *names) {
    if (!is_segment_name(name)) continue;
    there.insert(name);
    if (segments_.count(name) == 0) add(name);
  }
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    segment = there.count(segment->first) == 0 ? drop(segment) : std::next(segment);
  }
  return {};
}

// Of a file that somebody wrote. One that is not whole is nobody's: it is removed.
void SafeFolder::add(const std::string& name) {
  const std::string path = path_of(name);
  const Result<StoreFile> file = StoreFile::open(path);
  if (!file) return;
  Segment segment;
  segment.bytes = file->size();
  const auto damaged = [&] { remove_path(path); };
  const Result<std::string> prefix = file->read(0, SegmentHeader::kPrefixBytes);
  if (!prefix) return damaged();
  const auto block_bytes = static_cast<uint32_t>(block_bytes_);
  const Result<size_t> size = segment_header_bytes(bytes_of(*prefix), fingerprint_, block_bytes);
  if (!size) return damaged();
  const Result<std::string> text = file->read(0, *size);
  if (!text) return damaged();
  Result<SegmentHeader> header = parse_segment_header(bytes_of(*text));
  if (!header || file->size() != *size + header->blocks.size() * size_t{block_bytes}) {
    return damaged();
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return;
  segment.header = std::move(header).value();
  segment.used = status.st_mtim;
  insert(name, std::move(segment));
}

void SafeFolder::insert(const std::string& name, Segment segment) {
  if (const auto known = segments_.find(name); known != segments_.end()) drop(known);
  bytes_ += segment.bytes;
  const auto at = segments_.emplace(name, std::move(segment)).first;
  const std::vector<BlockHash>& blocks = at->second.header.blocks;
  for (uint32_t i = 0; i < blocks.size(); ++i) places_.try_emplace(blocks[i], Place{at, i});
}

SafeFolder::Segments::iterator SafeFolder::drop(Segments::iterator segment) {
  for (const BlockHash block : segment->second.header.blocks) {
    const auto place = places_.find(block);
    if (place != places_.end() && place->second.segment == segment) places_.erase(place);
  }
  bytes_ -= segment->second.bytes;
  return segments_.erase(segment);
}

SafeFolder::Segments::iterator SafeFolder::remove(Segments::iterator segment) {
  remove_path(path_of(segment->first));
  return drop(segment);
}

void SafeFolder::remove_expired() {
  if (options_.ttl <= Duration::zero()) return;
  timespec limit = wall_clock();
  limit.tv_sec -= std::chrono::duration_cast<std::chrono::seconds>(options_.ttl).count();
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    struct stat status {};
    if (earlier(segment->second.used, limit) &&
        stat(path_of(segment->first).c_str(), &status) == 0) {
      segment->second.used = status.st_mtim;  // another worker may have used it
    }
    segment = earlier(segment->second.used, limit) ? remove(segment) : std::next(segment);
  }
}

void SafeFolder::make_room(uint64_t bytes) {
  while (options_.bytes_max > 0 && bytes_ + bytes > options_.bytes_max && !segments_.empty()) {
    const auto oldest = std::min_element(
        segments_.begin(), segments_.end(),
        [](const auto& a, const auto& b) { return earlier(a.second.used, b.second.used); });
    struct stat status {};
    if (stat(path_of(oldest->first).c_str(), &status) == 0 &&
        earlier(oldest->second.used, status.st_mtim)) {
      oldest->second.used = status.st_mtim;  // another worker has used it since
      continue;
    }
    remove(oldest);
  }
}

}  // namespace kvasir
