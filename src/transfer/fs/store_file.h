// Files of a folder that several machines share: written whole or not at all, and read by offset,
// never trusted to be as long as they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

// A regular file that is open for reading.
class StoreFile {
 public:
  static Result<StoreFile> open(const std::string& path);

  uint64_t size() const { return size_; }
  // All of `into`, from `offset` on; an error: the file ends before, or cannot be read.
  Result<void> read(uint64_t offset, std::span<std::byte> into) const;
  Result<std::string> read(uint64_t offset, size_t bytes) const;

 private:
  StoreFile(Descriptor file, std::string path, uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}
  Descriptor file_;
  std::string path_;
  uint64_t size_;
};

// New files, one after another: the former ones get to the disk while the next one is made.
class NewStoreFiles {
 public:
  NewStoreFiles() = default;
  // None is there, unless they are finished.
  ~NewStoreFiles();
  NewStoreFiles(const NewStoreFiles&) = delete;
  NewStoreFiles& operator=(const NewStoreFiles&) = delete;

  // Of the pieces, one after another.
  Result<void> write(const std::string& path, std::span<const std::span<const std::byte>> pieces);
  // All are on the disk when it returns; their folder's entries are not, see sync_folder().
  Result<void> finish();

 private:
  struct File {
    Descriptor descriptor;
    std::string path;
    std::future<int> synced;  // errno; it is waited for before the descriptor goes
  };
  static void start_sync(File& file);

  std::vector<File> files_;
  bool finished_ = false;
};
Result<void> sync_folder(const std::string& path);
Result<void> rename_path(const std::string& from, const std::string& to);
// `path` and those above it.
Result<void> make_folders(const std::string& path);
// The names in it, without "." and ".."; at most `most`, then it is an error.
Result<std::vector<std::string>> list_folder(const std::string& path, size_t most);
// A folder of files, or a file; what is not there is no error.
void remove_path(const std::string& path);

// Names of what is being written begin with it.
inline constexpr std::string_view kUnfinishedPrefix = ".kvasir-unfinished-";
// A name of its own in `folder` for what is being written.
std::string unfinished_path(const std::string& folder);
// Removes what writers that died left in `folder` an hour ago or earlier.
void remove_unfinished(const std::string& folder);

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace kvasir
