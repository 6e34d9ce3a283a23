// For tests of workers that fail.
#pragma once

#include <string>

#include "gateway/gateway_fixture.h"

namespace kvasir {

// Round robin begins with a, so that is the one that fails.
class GatewayRetryTest : public GatewayTest {
 protected:
  std::string name_of(const FakeWorker& worker) const {
    return "127.0.0.1:" + std::to_string(worker.port());
  }
  void stop() {
    client_.reset();
    gateway_.reset();
    probe_.forget();
    a_.bodies.clear();
    b_.bodies.clear();
  }
};

}  // namespace kvasir
