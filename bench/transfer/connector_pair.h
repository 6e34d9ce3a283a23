// A prefiller and a decoder in one process, reduced to their memories and their connectors: hands
// one prompt's blocks over, and takes the time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv_memory.h"
#include "net/io/event_loop.h"
#include "transfer/kv_connector.h"
#include "transfer/kv_transfer_config.h"

namespace kvasir::bench {

class ConnectorPair {
 public:
  struct Times {
    double offer_seconds = 0;  // from offer() until the answer could go
    double fetch_seconds = 0;  // from fetch() until all blocks were there
    double whole_seconds = 0;  // from offer() until all blocks were there
  };

  // Ends the program, with why, when a connector cannot be made. `prefiller_memory`: its name when
  // it is to be shared.
  ConnectorPair(const KvTransferConfig& prefiller, const KvTransferConfig& decoder,
                const KvLayout& layout, uint32_t blocks, const std::string& prefiller_memory = {});
  ~ConnectorPair();

  // All blocks of a prompt that nobody has seen before. Ends the program when a byte is wrong.
  // `request_id`: as the workers have it, with their addresses in it where a connector wants them.
  Times hand_over(const std::string& request_id = "cmpl-bench");

 private:
  class Side;
  void run_until(const std::function<bool()>& done);

  const std::unique_ptr<EventLoop> loop_;
  const uint32_t blocks_;
  std::unique_ptr<Side> prefiller_, decoder_;
  uint64_t requests_ = 0;
};

[[noreturn]] void give_up(const std::string& why);

}  // namespace kvasir::bench
