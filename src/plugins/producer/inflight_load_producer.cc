#include "plugins/producer/inflight_load_producer.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/assert.h"
#include "base/parameters.h"
#include "plugins/producer/booking_map.h"

namespace kvasir {
namespace {

struct InflightLoadProducerSettings {
  bool add_output = false;
  double output_ratio = 1.5;
  double output_max = std::numeric_limits<double>::max();
  bool share = true;
};

// Others are believed up to this much, so that no sum overflows.
constexpr uint64_t kRemoteRequestsMax = 1'000'000'000;
constexpr uint64_t kRemoteTokensMax = 1ull << 60;

// What one request has booked.
struct Booking {
  static constexpr size_t kStagesMax = 3;  // decode, prefill, encode

  struct Share {
    EndpointId endpoint{};
    uint64_t tokens = 0;
  };
  std::array<Share, kStagesMax> shares{};
  uint8_t count = 0;
};

class InflightLoadProducer final : public InflightLoads {
 public:
  // `matches` may be null: the only one there is, if any.
  InflightLoadProducer(InflightLoadProducerSettings settings, size_t endpoints,
                       const PrefixMatches* matches)
      : settings_(settings), matches_(matches), own_(endpoints), loads_(endpoints) {}

  void connect(PluginContext& context) override {
    if (matches_ == nullptr) matches_ = context.find_made<PrefixMatches>();
  }

  bool watches_answers() const override { return true; }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<InflightLoadProducer*>(&predecessor);
    if (old == nullptr) return false;
    const size_t kept = std::min(own_.size(), old->own_.size());
    if (kept < old->own_.size()) return false;  // a smaller fleet: its bookings would point outside
    std::copy(old->own_.begin(), old->own_.end(), own_.begin());
    // What others have in flight comes again with their next news.
    std::copy(old->loads_.begin(), old->loads_.end(), loads_.begin());
    bookings_ = std::move(old->bookings_);
    return true;
  }

  void produce(const Cycle&) override {}
  std::span<const InflightLoad> loads() const override { return loads_; }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    Booking booking;
    for (const ProfileResult& profile :
         profiles.first(std::min(profiles.size(), Booking::kStagesMax))) {
      const EndpointId endpoint = profile.chosen[0].endpoint;
      const Booking::Share share{endpoint, tokens_of(cycle.request, endpoint)};
      booking.shares[booking.count++] = share;
      add(own_[index_of(endpoint)], 1, share.tokens);
      add(loads_[index_of(endpoint)], 1, share.tokens);
    }
    bookings_.insert(cycle.request.id, booking);
  }

  void first_token(RequestId request, TimePoint) override {
    Booking* booking = bookings_.find(request);
    if (booking != nullptr) release_tokens(*booking);
  }

  // All shares but the first are of endpoints that work ahead for the primary one.
  void prefill_ended(RequestId request, TimePoint) override {
    Booking* booking = bookings_.find(request);
    if (booking == nullptr) return;
    for (size_t i = 1; i < booking->count; ++i) release(booking->shares[i]);
    booking->count = 1;
  }

  void ended(RequestId request, TimePoint) override {
    Booking* booking = bookings_.find(request);
    if (booking == nullptr) return;
    for (size_t i = 0; i < booking->count; ++i) release(booking->shares[i]);
    bookings_.erase(request);
  }

  void add_readings(std::vector<PluginReading>& readings) const override {
    for (uint32_t i = 0; i < own_.size(); ++i) {
      if (own_[i].requests == 0 && own_[i].tokens == 0) continue;
      readings.push_back({"inflight_tokens", static_cast<double>(own_[i].tokens), EndpointId(i)});
    }
  }

  void export_shared(const SharedExport&, TimePoint, SharedPart& part) override {
    if (!settings_.share) return;
    for (uint32_t i = 0; i < own_.size(); ++i) {
      const InflightLoad& own = own_[i];
      if (own.requests == 0 && own.tokens == 0) continue;
      part.loads.push_back({EndpointId(i), own.requests, own.tokens});
    }
  }

  void import_shared(const SharedPart& part, const Snapshot&, TimePoint) override {
    std::copy(own_.begin(), own_.end(), loads_.begin());
    if (!settings_.share) return;
    for (const SharedLoad& other : part.loads) {
      if (index_of(other.endpoint) >= loads_.size()) continue;
      add(loads_[index_of(other.endpoint)],
          static_cast<uint32_t>(std::min<uint64_t>(other.requests, kRemoteRequestsMax)),
          std::min(other.tokens, kRemoteTokensMax));
    }
  }

 private:
  static void add(InflightLoad& load, uint32_t requests, uint64_t tokens) {
    load.requests += requests;
    load.tokens += tokens;
  }

  uint64_t tokens_of(const Request& request, EndpointId endpoint) const {
    const uint32_t cached = matches_ ? matches_->match().cached_tokens(request, endpoint) : 0;
    uint64_t tokens = request.prompt_tokens - cached;
    if (settings_.add_output) {
      tokens += static_cast<uint64_t>(
          std::min(request.prompt_tokens * settings_.output_ratio, settings_.output_max));
    }
    return tokens;
  }

  void release_tokens(Booking& booking) {
    for (size_t i = 0; i < booking.count; ++i) release_tokens(booking.shares[i]);
  }
  void release_tokens(Booking::Share& share) {
    const uint32_t endpoint = index_of(share.endpoint);
    own_[endpoint].tokens -= share.tokens;
    loads_[endpoint].tokens -= share.tokens;
    share.tokens = 0;
  }
  void release(Booking::Share& share) {
    release_tokens(share);
    --own_[index_of(share.endpoint)].requests;
    --loads_[index_of(share.endpoint)].requests;
  }

  const InflightLoadProducerSettings settings_;
  const PrefixMatches* matches_;
  std::vector<InflightLoad> own_;    // booked here
  std::vector<InflightLoad> loads_;  // and what the other replicas said
  BookingMap<Booking> bookings_;
};

MadePlugin make_inflight_load_producer(std::string_view name, const Value& value,
                                       PluginContext& context) {
  Parameters parameters(value, name);
  InflightLoadProducerSettings settings;
  settings.add_output = parameters.boolean("addEstimatedOutputTokens", false);
  settings.output_ratio = parameters.number("outputRatio", 1.5, 0, 1e6);
  settings.output_max = parameters.number("maxEstimatedOutputTokens", settings.output_max);
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  settings.share = parameters.boolean("syncCrossReplicaState", true);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const PrefixMatches* matches = nullptr;
  if (!producer.empty()) {
    const Result<PrefixMatches*> found = context.find<PrefixMatches>(producer);
    if (!found) return found.error();
    matches = *found;
  }
  return make_plugin<InflightLoadProducer>(settings, context.endpoints(), matches);
}

}  // namespace

PluginType inflight_load_producer_plugin() {
  return {"inflight-load-producer",
          make_inflight_load_producer,
          Stability::kStable,
          {},
          {InflightLoads::kKind}};
}

}  // namespace kvasir
