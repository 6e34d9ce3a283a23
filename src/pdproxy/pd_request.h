// One request's pair of workers: what its legs are called, where they count, and what their ends
// say of the workers. Private to pdproxy/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "legs/legs_relays.h"
#include "pdproxy/pd_proxy_probe.h"
#include "pdproxy/pd_workers.h"
#include "pdproxy/prefill_rooms.h"

namespace kvasir {

class PdRequest final : public LegsObserver {
 public:
  // `unique`: 32 hexadecimal digits. All referred to outlive it.
  PdRequest(const PdProxyOptions& options, PdProxyProbe& probe, Executor& executor,
            std::string method, std::string unique)
      : options_(options),
        probe_(probe),
        executor_(executor),
        method_(std::move(method)),
        unique_(std::move(unique)) {}

  // Before it is given away. Without prefillers the decoder works alone.
  void use(PdCandidates prefillers, PdCandidates decoders);
  // Its prompt takes room at each prefiller that it is sent to: `first` is that at the first one.
  void use_room(PrefillRooms& rooms, uint64_t tokens, PrefillRoom first);
  void set_long() { is_long_ = true; }
  std::vector<LegWorker> prefillers() const { return legs_to(prefillers_.workers); }
  std::vector<LegWorker> decoders() const { return legs_to(decoders_.workers); }

  std::string leg_request_id(const LegsRoute& route, std::optional<size_t> prefiller,
                             size_t decoder) override;
  std::unique_ptr<LegWait> wait_to_prefill(size_t prefiller,
                                           std::function<void(Result<void>)> told) override;
  void on_prefill_sent(size_t prefiller) override;
  void on_prefill_ended(size_t prefiller, End end) override;
  void on_decode_sent(size_t decoder) override;
  void on_decoder_failed(size_t decoder) override;
  void on_done(const LegsReport& report) override;

  static std::vector<LegWorker> legs_to(const std::vector<PdWorkerRef>& workers);

 private:
  const PdProxyOptions& options_;
  PdProxyProbe& probe_;
  Executor& executor_;
  const std::string method_, unique_;
  PdCandidates prefillers_, decoders_;
  std::vector<PdBooking> legs_;     // of the prefillers, as they are sent
  PrefillRooms* rooms_ = nullptr;   // null: there is no limit
  uint64_t tokens_ = 0;             // of the prompt, at most
  std::vector<PrefillRoom> taken_;  // at the prefillers
  PdBooking decode_leg_;
  std::string leg_id_;
  std::optional<size_t> decoder_;  // that was sent to last
  bool is_long_ = false;
};

}  // namespace kvasir
