// A port for a program that a test starts.
#pragma once

#include <cstdint>

namespace kvasir {

// A free port of 127.0.0.1, kept until the test program ends: a program that sets SO_REUSEADDR can listen on it,
// but it is no other connection's source port meanwhile, and no other test gets it.
uint16_t leased_port();

}  // namespace kvasir
