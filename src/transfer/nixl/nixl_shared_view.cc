#include "transfer/nixl/nixl_shared_view.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "base/whole_file.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

constexpr size_t kBootIdBytesMost = 256;

}  // namespace

Result<NixlSharedView> NixlSharedView::open(const std::string& name, uint64_t blocks,
                                            uint64_t block_bytes) {
  if (blocks == 0 || block_bytes == 0 ||
      blocks > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / block_bytes) {
    return Error{"shared memory without a size"};
  }
  const Descriptor descriptor(shm_open(name.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (!descriptor.open()) return Error{"shared memory " + name + ": " + std::strerror(errno)};
  struct stat about {};
  const uint64_t bytes = blocks * block_bytes;
  // Pages beyond the end of what lies there would be a SIGBUS.
  if (fstat(descriptor.get(), &about) != 0 || static_cast<uint64_t>(about.st_size) < bytes) {
    return Error{"shared memory " + name + " is smaller than its owner says"};
  }
  void* const begin = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (begin == MAP_FAILED) return Error{"shared memory " + name + ": " + std::strerror(errno)};
  return NixlSharedView(static_cast<const std::byte*>(begin), blocks, block_bytes);
}

NixlSharedView::~NixlSharedView() {
  if (begin_ != nullptr) munmap(const_cast<std::byte*>(begin_), blocks_ * block_bytes_);
}

std::string this_machine() {
  Result<std::string> id = read_whole_file("/proc/sys/kernel/random/boot_id", kBootIdBytesMost);
  if (!id) return {};
  while (!id->empty() && id->back() == '\n') id->pop_back();
  return *id;
}

}  // namespace kvasir
