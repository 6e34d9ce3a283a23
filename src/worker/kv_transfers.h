// The sequences of a worker whose KV blocks come from other workers, or go to them: what engine,
// connector and answer have to wait for, and what is given back when a client leaves in between.
//
// Of one sequence: begin() and plan() -> Client::on_planned(), submitted() -> (blocks come)
// Client::on_loaded() or on_load_failed() -> ended() -> (blocks go) Client::on_offered(). leave()
// at any time instead of what is next: no callback follows.
//
// Everything on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "transfer/kv_connector.h"
#include "worker/engine_loop.h"

namespace kvasir {

class KvTransfers final : public KvConnector::Owner {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    // It is to be submitted with remote_blocks and keep_blocks of that plan, or refused.
    virtual void on_planned(const KvPlan& plan) = 0;
    virtual void on_refused(const std::string& why) = 0;
    // The blocks that come for it are there, or will be computed.
    virtual void on_loaded() = 0;
    // They are not, and it was cancelled.
    virtual void on_load_failed() = 0;
    // Its answer may go, with these kv_transfer_params (JSON); empty: null.
    virtual void on_offered(const std::string& params) = 0;
  };

  // What arrived, for the metrics, is kept up to date by take_records().
  using RecordSink = std::function<void(const KvTransferRecord&)>;

  // `engine` must outlive it, and so must `loop` as far as set_connector() was called.
  KvTransfers(Engine& engine, EngineLoop& loop) : engine_(engine), loop_(loop) {}
  KvTransfers(const KvTransfers&) = delete;
  KvTransfers& operator=(const KvTransfers&) = delete;

  // Once, before the first request. Without a connector is_on() stays false. A failed load fails
  // its request, or, with `recompute`, the prompt is computed here.
  void set_connector(std::unique_ptr<KvConnector> connector, bool recompute, RecordSink records);
  bool is_on() const { return connector_ != nullptr; }

  // Precondition of all others: is_on(). `client` must live until the last callback or leave().
  KvRequestId begin(Client& client);
  // A callback may come from inside.
  void plan(KvRequestId request, const KvRequest& about);
  // The sequence that on_planned() led to.
  void submitted(KvRequestId request, SequenceId sequence);
  // Room for blocks of sequences that were submitted.
  void on_wanted(std::vector<WantedBlocks> wanted);
  // The sequence has made its last token. `by_limit`: the engine keeps its blocks. Returns whether
  // on_offered() follows (or came already).
  bool ended(KvRequestId request, bool by_limit, uint32_t cached_tokens);
  void leave(KvRequestId request);

  // A request that got no sequence: whoever holds blocks for it is told.
  void refuse(std::string_view id, std::string_view params);

  KvTransferStats stats() const { return connector_->stats(); }
  // Calls `idle` once when nothing comes and nothing is offered any more; at once when that is so
  // now.
  void when_idle(std::function<void()> idle);

 private:
  enum class Stage : uint8_t { kPlanning, kWaiting, kFetching, kComputing, kOffering, kOffered };
  struct Transfer {
    Client* client = nullptr;  // null: it left
    Stage stage = Stage::kPlanning;
    KvPlan plan;
    SequenceId sequence{};
  };

  void on_planned(KvRequestId request, Result<KvPlan> plan) override;
  void on_fetching(KvRequestId request) override;
  void on_fetched(KvRequestId request, KvFetched fetched) override;
  void on_offered(KvRequestId request, std::string params) override;
  void on_released(KvRequestId request) override;

  Transfer* find(KvRequestId request);
  void erase(KvRequestId request);
  void take_records();

  Engine& engine_;
  EngineLoop& loop_;
  bool recompute_ = false;
  RecordSink records_;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, Transfer> transfers_;
  std::unordered_map<uint64_t, KvRequestId> by_sequence_;  // those in kWaiting
  std::function<void()> idle_;
  std::unique_ptr<KvConnector> connector_;  // last: the first to go
};

}  // namespace kvasir
