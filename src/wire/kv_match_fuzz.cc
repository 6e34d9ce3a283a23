#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "wire/kv_match.h"

// What can be read is written as the same bytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto question = kvasir::read_match_question(bytes);
  if (question && kvasir::write_match_question(*question) != bytes) std::abort();
  const auto answer = kvasir::read_match_answer(bytes);
  if (answer &&
      kvasir::read_match_answer(kvasir::write_match_answer(*answer))->pods != answer->pods) {
    std::abort();
  }
  return 0;
}
