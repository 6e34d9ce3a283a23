#include <cstdint>

#include "wire/kube/exec_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto answer = kvasir::read_exec_answer(text, "client.authentication.k8s.io/v1");
  if (answer && answer->token.empty() && answer->certificate_pem.empty()) __builtin_trap();
  return 0;
}
