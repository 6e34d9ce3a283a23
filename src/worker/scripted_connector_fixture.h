// A connector that does what a test says, when the test says it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "transfer/kv_connector.h"

namespace kvasir {

class ScriptedConnector final : public KvConnector {
 public:
  struct Planned {
    std::string id, params;
    size_t prompt = 0, blocks = 0;
  };
  struct Fetch {
    KvRequestId request{};
    uint32_t first = 0;
    std::vector<uint32_t> blocks;
  };
  struct Offer {
    KvRequestId request{};
    std::vector<uint32_t> blocks;
    uint32_t cached_tokens = 0;
  };

  explicit ScriptedConnector(Owner& script_owner) : owner(script_owner) {}

  void plan(KvRequestId request, const KvRequest& about) override {
    last = request;
    planned.push_back({std::string(about.id), std::string(about.params), about.prompt.size(),
                       about.blocks.size()});
    if (!answers_plans) return;
    if (!refusal.empty()) return owner.on_planned(request, Error{refusal});
    // A plan is for requests that say something.
    owner.on_planned(request, about.params.empty() ? KvPlan{} : next_plan);
  }
  void fetch(KvRequestId request, uint32_t first, std::vector<uint32_t> blocks) override {
    fetches.push_back({request, first, std::move(blocks)});
  }
  void offer(KvRequestId request, std::vector<uint32_t> blocks, uint32_t cached_tokens) override {
    offers.push_back({request, std::move(blocks), cached_tokens});
  }
  void forget(KvRequestId request) override { forgotten.push_back(request); }
  KvTransferStats stats() const override { return totals; }
  std::vector<KvTransferRecord> take_records() override { return std::exchange(records, {}); }

  Owner& owner;
  bool answers_plans = true;
  std::string refusal;
  KvPlan next_plan;
  KvRequestId last{};
  std::vector<Planned> planned;
  std::vector<Fetch> fetches;
  std::vector<Offer> offers;
  std::vector<KvRequestId> forgotten;
  KvTransferStats totals;
  std::vector<KvTransferRecord> records;
};

}  // namespace kvasir
