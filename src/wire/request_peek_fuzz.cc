#include <cstdint>
#include <string>

#include "wire/request_peek.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static kvasir::RequestPeeker peeker;
  std::string body(reinterpret_cast<const char*>(data), size);
  body.append(64, '\0');
  static_cast<void>(peeker.peek(std::string_view(body).substr(0, size)));
  return 0;
}
