// Our own folder of blocks, for workers of any number on any machine that sees it:
//
//   <path>/kvasir-<fingerprint>/<blocks stored together>.kv
//
// Blocks are found one by one, so prompts share what they have in common; a file holds those of a
// prompt that nobody had stored. It says whose bytes they are and has a checksum for each; it
// appears under its name when it is whole and on the disk. What was not used for the longest time
// goes first; a reader who is at it reads on.
//
// An index of the folder is kept in memory and renewed when the folder has changed.
#pragma once

#include <ctime>
#include <map>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "transfer/block_store.h"
#include "transfer/fs/segment_header.h"
#include "transfer/fs/store_file.h"

namespace kvasir {

struct SafeFolderOptions {
  uint64_t bytes_max = 0;        // of all files; 0: no limit
  Duration ttl{};                // since a file was used last; 0: for ever
  size_t files_max = 1'000'000;  // more are an error
};

class SafeFolder final : public BlockStore {
 public:
  // `path`: exists.
  SafeFolder(const std::string& path, uint64_t fingerprint, size_t block_bytes,
             const SafeFolderOptions& options);

  FoundBlocks find(const StoredPrompt& prompt) override;
  LoadedBlocks load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                    std::span<std::byte> into) override;
  Result<void> save(const StoredPrompt& prompt, std::span<const std::byte> bytes) override;

  const std::string& folder() const { return folder_; }
  uint64_t bytes() const { return bytes_; }  // of the files that are known
  size_t files() const { return segments_.size(); }

 private:
  struct Segment {
    SegmentHeader header;
    uint64_t bytes = 0;
    timespec used{};
  };
  using Segments = std::map<std::string, Segment>;  // by their names
  struct Place {
    Segments::iterator segment;
    uint32_t index;
  };

  Result<void> refresh();
  Result<void> scan();
  void add(const std::string& name);
  void insert(const std::string& name, Segment segment);
  Segments::iterator drop(Segments::iterator segment);
  Segments::iterator remove(Segments::iterator segment);
  void remove_expired();
  void make_room(uint64_t bytes);
  std::string path_of(const std::string& name) const { return folder_ + "/" + name; }

  const std::string folder_;
  const uint64_t fingerprint_;
  const size_t block_bytes_;
  const SafeFolderOptions options_;
  Segments segments_;
  std::unordered_map<BlockHash, Place> places_;
  uint64_t bytes_ = 0;
  timespec scanned_{};    // the folder's time of change then
  bool settled_ = false;  // a change after scanned_ has another time
};

}  // namespace kvasir
