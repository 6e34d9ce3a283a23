#include "transfer/fs/store_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "base/integer_text.h"
#include "transfer/write_pieces.h"

namespace kvasir {
namespace {

constexpr size_t kEntriesMost = 1'000'000;
constexpr time_t kUnfinishedSecondsMost = 3600;

Error store_file_error(const char* what, const std::string& path) {
  return Error{std::string("cannot ") + what + " " + path + ": " + std::strerror(errno)};
}

constexpr size_t kSyncsAtOnce = 4;
constexpr size_t kBytesAhead = size_t{8} << 20;

// The disk begins with what is written while more is made: less is left for fsync().
bool write_ahead(int file, std::span<const std::span<const std::byte>> pieces) {
  size_t written = 0;
  while (!pieces.empty()) {
    size_t count = 0, bytes = 0;
    while (count < pieces.size() && bytes < kBytesAhead) bytes += pieces[count++].size();
    if (!write_pieces(file, pieces.first(count))) return false;
    sync_file_range(file, static_cast<off_t>(written), static_cast<off_t>(bytes),
                    SYNC_FILE_RANGE_WRITE);
    written += bytes;
    pieces = pieces.subspan(count);
  }
  return true;
}

int sync_error(int file) {
  return fsync(file) == 0 ? 0 : errno;
}

}  // namespace

Result<StoreFile> StoreFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO does not wait for its writer.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW));
  if (!file.open()) return store_file_error("open", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return store_file_error("read", path);
  if (!S_ISREG(status.st_mode)) return Error{"cannot read " + path + ": it is no regular file"};
  return StoreFile(std::move(file), path, static_cast<uint64_t>(status.st_size));
}

Result<void> StoreFile::read(uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t count = pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return store_file_error("read", path_);
    if (count == 0) return Error{path_ + " ends too early"};
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return {};
}

Result<std::string> StoreFile::read(uint64_t offset, size_t bytes) const {
  if (offset > size_ || bytes > size_ - offset) return Error{path_ + " ends too early"};
  std::string text(bytes, '\0');
  const Result<void> done = read(offset, std::as_writable_bytes(std::span(text)));
  if (!done) return done.error();
  return text;
}

NewStoreFiles::~NewStoreFiles() {
  if (finished_) return;
  for (const File& file : files_) unlink(file.path.c_str());
}

void NewStoreFiles::start_sync(File& file) {
  try {
    file.synced = std::async(std::launch::async, sync_error, file.descriptor.get());
  } catch (const std::system_error&) {  // no thread: finish() does it
  }
}

Result<void> NewStoreFiles::write(const std::string& path,
                                  std::span<const std::span<const std::byte>> pieces) {
  if (!files_.empty()) start_sync(files_.back());
  if (files_.size() > kSyncsAtOnce) {
    const std::future<int>& former = files_[files_.size() - 1 - kSyncsAtOnce].synced;
    if (former.valid()) former.wait();
  }
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.open()) return store_file_error("write", path);
  files_.push_back({std::move(file), path, {}});
  if (!write_ahead(files_.back().descriptor.get(), pieces)) return store_file_error("write", path);
  return {};
}

Result<void> NewStoreFiles::finish() {
  for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
    errno = file->synced.valid() ? file->synced.get() : sync_error(file->descriptor.get());
    if (errno != 0) return store_file_error("write", file->path);
  }
  finished_ = true;
  return {};
}

Result<void> sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open() || fsync(folder.get()) != 0) return store_file_error("write", path);
  return {};
}

Result<void> rename_path(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return store_file_error("write", to);
  return {};
}

Result<void> make_folders(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (!part.empty() && mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      return store_file_error("make", part);
    }
    if (at == std::string::npos) break;
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return store_file_error("use", path);
  if (!S_ISDIR(status.st_mode)) return Error{path + " is no folder"};
  return {};
}

Result<std::vector<std::string>> list_folder(const std::string& path, size_t most) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (folder == nullptr) return store_file_error("list", path);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == most) {
      return Error{path + " has more than " + std::to_string(most) + " entries"};
    }
    names.emplace_back(name);
  }
  return names;
}

void remove_path(const std::string& path) {
  if (unlink(path.c_str()) == 0 || (errno != EISDIR && errno != EPERM)) return;
  if (const auto names = list_folder(path, kEntriesMost)) {
    for (const std::string& name : *names) unlink((path + "/" + name).c_str());
  }
  rmdir(path.c_str());
}

std::string unfinished_path(const std::string& folder) {
  static const uint64_t process = (uint64_t{std::random_device()()} << 32) | getpid();
  static std::atomic<uint64_t> number{0};
  return folder + "/" + std::string(kUnfinishedPrefix) + hexadecimal(process) + "-" +
         std::to_string(number++);
}

void remove_unfinished(const std::string& folder) {
  const auto names = list_folder(folder, kEntriesMost);
  if (!names) return;
  for (const std::string& name : *names) {
    if (name.compare(0, kUnfinishedPrefix.size(), kUnfinishedPrefix) != 0) continue;
    const std::string path = folder + "/" + name;
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0) continue;
    if (status.st_mtime + kUnfinishedSecondsMost < time(nullptr)) remove_path(path);
  }
}

}  // namespace kvasir
