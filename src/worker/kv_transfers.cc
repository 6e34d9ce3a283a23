#include "worker/kv_transfers.h"

#include <utility>

#include "telemetry/log.h"

namespace kvasir {

void KvTransfers::set_connector(std::unique_ptr<KvConnector> connector, bool recompute,
                                RecordSink records) {
  connector_ = std::move(connector);
  recompute_ = recompute;
  records_ = std::move(records);
}

KvTransfers::Transfer* KvTransfers::find(KvRequestId request) {
  const auto found = transfers_.find(static_cast<uint64_t>(request));
  return found == transfers_.end() ? nullptr : &found->second;
}

void KvTransfers::erase(KvRequestId request) {
  transfers_.erase(static_cast<uint64_t>(request));
  if (transfers_.empty() && idle_) std::exchange(idle_, nullptr)();
}

KvRequestId KvTransfers::begin(Client& client) {
  transfers_[++last_id_].client = &client;
  return KvRequestId{last_id_};
}

void KvTransfers::plan(KvRequestId request, const KvRequest& about) {
  connector_->plan(request, about);
}

void KvTransfers::refuse(std::string_view id, std::string_view params) {
  const KvRequestId request{++last_id_};
  transfers_[last_id_] = {};
  connector_->plan(request, {id, params, {}, {}});
}

void KvTransfers::on_planned(KvRequestId request, Result<KvPlan> plan) {
  Transfer* transfer = find(request);
  if (transfer == nullptr || transfer->stage != Stage::kPlanning) return;
  Client* const client = transfer->client;
  if (!plan || client == nullptr) {
    erase(request);
    if (plan) connector_->forget(request);
    if (client != nullptr) client->on_refused(plan.error().message);
    return;
  }
  transfer->plan = *plan;
  client->on_planned(*plan);
}

void KvTransfers::submitted(KvRequestId request, SequenceId sequence) {
  Transfer* transfer = find(request);
  if (transfer == nullptr) return;
  transfer->sequence = sequence;
  if (transfer->plan.remote_blocks > 0) {
    transfer->stage = Stage::kWaiting;
    by_sequence_.emplace(static_cast<uint64_t>(sequence), request);
  } else if (transfer->plan.keeps) {
    transfer->stage = Stage::kComputing;
  } else {
    erase(request);
  }
}

void KvTransfers::on_wanted(std::vector<WantedBlocks> wanted) {
  for (WantedBlocks& room : wanted) {
    const auto found = by_sequence_.find(static_cast<uint64_t>(room.sequence));
    if (found == by_sequence_.end()) {
      loop_.arrived(room.sequence, 0);
      continue;
    }
    const KvRequestId request = found->second;
    by_sequence_.erase(found);
    find(request)->stage = Stage::kFetching;
    connector_->fetch(request, room.first, std::move(room.blocks));
  }
}

void KvTransfers::on_fetching(KvRequestId request) {
  const Transfer* transfer = find(request);
  if (transfer == nullptr || transfer->stage != Stage::kFetching) return;
  if (transfer->client != nullptr) loop_.arriving(transfer->sequence);
}

void KvTransfers::on_fetched(KvRequestId request, KvFetched fetched) {
  take_records();
  Transfer* transfer = find(request);
  if (transfer == nullptr || transfer->stage != Stage::kFetching) return;
  Client* const client = transfer->client;
  const SequenceId sequence = transfer->sequence;
  const bool failed = !fetched.problem.empty();
  if (failed) {
    log_repeated(LogLevel::kWarning, "KV blocks were not loaded",
                 "KV blocks were not loaded: " + fetched.problem);
  }
  if (client == nullptr || (failed && !recompute_)) {
    const bool keeps = transfer->plan.keeps;
    loop_.cancel(sequence);
    loop_.arrived(sequence, 0);
    if (keeps && client != nullptr) connector_->forget(request);
    erase(request);
    if (client != nullptr) client->on_load_failed();
    return;
  }
  transfer->stage = Stage::kComputing;
  if (!transfer->plan.keeps) erase(request);
  loop_.arrived(sequence, fetched.blocks);
  client->on_loaded();
}

bool KvTransfers::ended(KvRequestId request, bool by_limit, uint32_t cached_tokens) {
  Transfer* transfer = find(request);
  if (transfer == nullptr) return false;
  const KeptBlocks* kept = by_limit ? engine_.kept(transfer->sequence) : nullptr;
  if (kept == nullptr) {
    connector_->forget(request);
    erase(request);
    return false;
  }
  transfer->stage = Stage::kOffering;
  connector_->offer(request, kept->blocks, cached_tokens);
  return true;
}

void KvTransfers::on_offered(KvRequestId request, std::string params) {
  Transfer* transfer = find(request);
  if (transfer == nullptr || transfer->stage != Stage::kOffering) return;
  transfer->stage = Stage::kOffered;
  Client* const client = std::exchange(transfer->client, nullptr);
  if (client != nullptr) client->on_offered(params);
}

void KvTransfers::on_released(KvRequestId request) {
  take_records();
  const Transfer* transfer = find(request);
  if (transfer == nullptr) return;
  const bool offered = transfer->stage == Stage::kOffering || transfer->stage == Stage::kOffered;
  if (!offered) return;
  loop_.release_kept(transfer->sequence);
  erase(request);
}

void KvTransfers::leave(KvRequestId request) {
  Transfer* transfer = find(request);
  if (transfer == nullptr) return;
  transfer->client = nullptr;
  if (transfer->stage == Stage::kOffered) return;
  const Stage stage = transfer->stage;
  if (stage == Stage::kWaiting) by_sequence_.erase(static_cast<uint64_t>(transfer->sequence));
  connector_->forget(request);
  // Somebody still writes to its blocks, or reads them.
  if (stage != Stage::kFetching && stage != Stage::kOffering) erase(request);
}

void KvTransfers::when_idle(std::function<void()> idle) {
  if (transfers_.empty()) return idle();
  idle_ = std::move(idle);
}

void KvTransfers::take_records() {
  for (const KvTransferRecord& record : connector_->take_records()) records_(record);
}

}  // namespace kvasir
