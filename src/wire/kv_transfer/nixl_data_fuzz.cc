// Of any bytes of a data connection: what is read of them is written and read back as the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/nixl_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (size >= NixlFrameHead::kBytes) {
    if (const auto head = read_nixl_frame_head(bytes.data()); head.ok()) {
      char again[NixlFrameHead::kBytes];
      write_nixl_frame_head(*head, again);
      KVASIR_ASSERT(read_nixl_frame_head(again)->id == head->id, "a head can be written");
    }
  }
  if (const auto read = read_nixl_read(bytes); read.ok()) {
    const auto again = read_nixl_read(write_nixl_read(*read));
    KVASIR_ASSERT(again.ok() && again->blocks == read->blocks && again->chain == read->chain &&
                      again->request_id == read->request_id && !read->blocks.empty(),
                  "a read can be written");
  }
  if (const auto ids = read_nixl_beat(bytes); ids.ok()) {
    const std::string written = write_nixl_beat(*ids);
    KVASIR_ASSERT(*read_nixl_beat(written) == *ids, "a heartbeat can be written");
  }
  (void)read_nixl_hello(bytes);
  (void)read_nixl_done(bytes);
  (void)read_nixl_end(bytes);
  return 0;
}
