#include "pdproxy/pd_request.h"

#include <utility>

#include "net/http/http_status.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {

void PdRequest::use(PdCandidates prefillers, PdCandidates decoders) {
  prefillers_ = std::move(prefillers);
  decoders_ = std::move(decoders);
  legs_.resize(prefillers_.workers.size());
  if (!legs_.empty()) legs_.front() = std::move(prefillers_.first);
  decode_leg_ = std::move(decoders_.first);
}

void PdRequest::use_room(PrefillRooms& rooms, uint64_t tokens, PrefillRoom first) {
  rooms_ = &rooms;
  tokens_ = tokens;
  taken_.resize(prefillers_.workers.size());
  if (!taken_.empty()) taken_.front() = std::move(first);
}

std::unique_ptr<LegWait> PdRequest::wait_to_prefill(size_t prefiller,
                                                    std::function<void(Result<void>)> told) {
  if (rooms_ == nullptr || taken_[prefiller].is_taken()) return nullptr;
  const RoomWish wish{tokens_, 1, prefillers_.workers[prefiller]};
  if (std::optional<RoomGrant> grant = rooms_->take(wish, executor_.now())) {
    taken_[prefiller] = std::move(grant->room);
    return nullptr;
  }
  return rooms_->wait(executor_, wish,
                      [this, prefiller, told = std::move(told)](Result<RoomGrant> outcome) {
                        if (!outcome) return told(outcome.error());
                        taken_[prefiller] = std::move(outcome->room);
                        told({});
                      });
}

std::vector<LegWorker> PdRequest::legs_to(const std::vector<PdWorkerRef>& workers) {
  std::vector<LegWorker> legs;
  for (const PdWorkerRef& worker : workers) {
    const std::string& name = worker->name;
    legs.push_back({worker->address, 0, name.empty() ? to_string(worker->address) : name});
  }
  return legs;
}

std::string PdRequest::leg_request_id(const LegsRoute& route, std::optional<size_t> prefiller,
                                      size_t decoder) {
  leg_id_ = prefiller ? p2p_request_id(prefillers_.workers[*prefiller]->name,
                                       decoders_.workers[decoder]->name, unique_)
                      : route.request_id;
  decoder_ = decoder;
  return leg_id_;
}

void PdRequest::on_prefill_sent(size_t prefiller) {
  if (prefiller > 0) legs_[prefiller] = PdBooking(prefillers_.workers[prefiller]);
}

void PdRequest::on_prefill_ended(size_t prefiller, End end) {
  legs_[prefiller] = PdBooking();
  if (rooms_ != nullptr) taken_[prefiller] = PrefillRoom();
  PdWorker& worker = *prefillers_.workers[prefiller];
  if (end == End::kAnswered) worker.answered();
  if (end == End::kFailed) worker.failed(executor_.now(), options_.avoid_for);
  probe_.on_prefill_ended(worker, end);
}

void PdRequest::on_decode_sent(size_t decoder) {
  if (decoder > 0) decode_leg_ = PdBooking(decoders_.workers[decoder]);
}

void PdRequest::on_decoder_failed(size_t decoder) {
  PdWorker& worker = *decoders_.workers[decoder];
  worker.failed(executor_.now(), options_.avoid_for);
  probe_.on_decoder_failed(worker);
}

void PdRequest::on_done(const LegsReport& report) {
  const bool answered = report.first_byte_time && report.status < kHttpServerErrors &&
                        !report.is_cut && report.status != kHttpClientClosedRequest;
  if (answered && decoder_) decoders_.workers[*decoder_]->answered();
  probe_.on_done({report, method_, leg_id_, is_long_});
}

}  // namespace kvasir
