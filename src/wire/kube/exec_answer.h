// What a credential plugin prints: an ExecCredential of client.authentication.k8s.io. Source:
// kubernetes.io "Authenticating", client-go credential plugins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct ExecAnswer {
  std::string token;            // empty: none
  std::string certificate_pem;  // with its key, or neither
  std::string key_pem;
  std::optional<int64_t> expires_seconds;  // since 1970; nullopt: when the server says no
};

// `api_version`: what was asked for; another one is an Error. No Error quotes the text.
Result<ExecAnswer> read_exec_answer(std::string_view json, std::string_view api_version);

}  // namespace kvasir
