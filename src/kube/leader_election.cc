#include "kube/leader_election.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/lifeline.h"
#include "kube/kube_time.h"
#include "net/http/http_status.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_text.h"

namespace kvasir {

// What the lease says of its holder: the same again is no renewal, whatever else changed.
struct LeaseRecord {
  std::string holder;
  int32_t duration_seconds = 0;
  std::string acquire_time;
  std::string renew_time;
  int32_t transitions = 0;

  bool operator==(const LeaseRecord&) const = default;
};

namespace {

// Of a candidate's pauses: up to so much longer. Less than client-go's 1.2: how late a renewal is
// seen is how much later than the lease ends somebody else leads.
constexpr double kJitter = 0.2;
constexpr double kApart = 0.02;  // of a pause: between candidates when a lease ends
// After a watch of the lease was refused. Without one it is read again and again, as with it.
constexpr Duration kWatchPause = std::chrono::seconds(30);

LeaseRecord record_of(const Lease& lease) {
  return {lease.holder, lease.duration_seconds, lease.acquire_time, lease.renew_time,
          lease.transitions};
}

// The object's metadata as the server wrote it, which goes back to it unchanged.
std::string metadata_of(std::string_view object) {
  JsonMembers members(object);
  while (members.next()) {
    if (members.key() == "metadata") return std::string(members.value());
  }
  return "{}";
}

std::string lease_json(const std::string& metadata, const LeaseRecord& record) {
  std::string json = R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":)";
  json += metadata + R"(,"spec":{"holderIdentity":)";
  append_json_string(record.holder, json);
  append_number(record.duration_seconds, json.append(R"(,"leaseDurationSeconds":)"));
  append_json_string(record.acquire_time, json.append(R"(,"acquireTime":)"));
  append_json_string(record.renew_time, json.append(R"(,"renewTime":)"));
  append_number(record.transitions, json.append(R"(,"leaseTransitions":)"));
  return json + "}}";
}

}  // namespace

class LeaderElection::State final : private KubeWatchObserver {
 public:
  State(Executor& executor, KubeApi& api, const Clock& wall_clock, LeaderElectionOptions options,
        Random& random, LeaderProbe& probe)
      : executor_(executor),
        api_(api),
        wall_clock_(wall_clock),
        options_(std::move(options)),
        leases_(kube_type(KubeKind::kLease).path(options_.name_space)),
        random_(random),
        probe_(probe) {
    executor_.post(lifeline_.guard([this] {
      if (!releasing_) attempt();
    }));
  }
  ~State() override {
    executor_.cancel(retry_);
    executor_.cancel(deadline_);
  }

  bool leads() const { return leading_ && executor_.now() - renewed_at_ < options_.renew_deadline; }
  void release(std::function<void()> done);

 private:
  // --- One attempt: the lease is read, unless what is known of it will do, then written ---
  void attempt() {
    began_at_ = executor_.now();
    if (!leading_) arm_deadline(options_.renew_deadline);
    leading_ || releasing_ ? write(/*from_memory=*/true) : read();
  }
  void read() {
    ask({"GET", lease_path()}, [this](const KubeAnswer& answer) { on_read(answer); });
  }
  void on_read(const KubeAnswer& answer) {
    if (answer.http_status == kHttpNotFound) return releasing_ ? released() : create();
    if (!answer.ok() || !observe(answer)) return failed(answer);
    if (observed_.holder != options_.identity) {
      if (releasing_) return released();
      if (leading_) stop_leading();
    }
    if (!others_hold_it()) return write(/*from_memory=*/false);
    trouble_.clear();
    begin_watch();
    retry_later();
  }
  void create() {
    std::string metadata = R"({"name":)";
    append_json_string(options_.lease_name, metadata);
    append_json_string(options_.name_space, metadata.append(R"(,"namespace":)"));
    ask({"POST", leases_, lease_json(metadata + "}", mine(0))},
        [this](const KubeAnswer& answer) { on_written(answer, /*from_memory=*/false); });
  }
  void write(bool from_memory) {
    const bool held = observed_.holder == options_.identity;
    LeaseRecord record = mine(held ? observed_.transitions : observed_.transitions + 1);
    if (held && !observed_.acquire_time.empty()) record.acquire_time = observed_.acquire_time;
    if (releasing_) {
      record.holder.clear();
      record.duration_seconds = 1;
    }
    ask({"PUT", lease_path(), lease_json(metadata_, record)},
        [this, from_memory](const KubeAnswer& answer) { on_written(answer, from_memory); });
  }
  // What was known of the lease may be old; what was just read should not be.
  void on_written(const KubeAnswer& answer, bool from_memory) {
    const bool changed = answer.http_status == kHttpConflict || answer.http_status == kHttpNotFound;
    if (changed && from_memory) return read();
    if (releasing_) return released();
    if (!answer.ok() || !observe(answer)) return failed(answer);
    renewed_at_ = began_at_;
    arm_deadline(renewed_at_ + options_.renew_deadline - executor_.now());
    trouble_.clear();
    retry_in(options_.retry_period);
    watch_.reset();
    if (!std::exchange(leading_, true)) probe_.on_leading(true);
  }

  // --- While another leads: its renewals are seen as they come, so that its lease ends here when
  // it does there. Each makes the next attempt come at once, no more ---
  void begin_watch() {
    if (watch_ != nullptr || executor_.now() < watch_again_at_) return;
    watch_ = api_.watch(leases_ + "?watch=1&fieldSelector=metadata.name%3D" + options_.lease_name,
                        *this);
  }
  void on_line(std::string_view) override {
    if (leading_ || releasing_ || call_ != nullptr) return;
    executor_.cancel(retry_);
    attempt();
  }
  void on_end(const KubeAnswer& answer) override {
    watch_again_at_ = executor_.now() + (answer.ok() ? options_.retry_period : kWatchPause);
    executor_.post(lifeline_.guard([this, ended = watch_.get()] {
      if (watch_.get() == ended) watch_.reset();
    }));
  }

  // --- What is known of the lease ---
  // False: the answer is no lease that can be read.
  bool observe(const KubeAnswer& answer) {
    const Result<KubeObjectPtr> object = reader_.read_object(answer.body);
    if (!object || (*object)->type->as != KubeKind::kLease) {
      unreadable_ = object ? "it is no Lease" : object.error().message;
      return false;
    }
    const LeaseRecord record = record_of(static_cast<const Lease&>(**object));
    metadata_ = metadata_of(answer.body);
    if (record == observed_ && observed_at_) return true;
    const bool other = record.holder != observed_.holder;
    observed_ = record;
    observed_at_ = executor_.now();
    if (other && !record.holder.empty()) probe_.on_new_leader(record.holder);
    return true;
  }
  // Somebody else renewed it, seen from here within its length.
  bool others_hold_it() const {
    return !observed_.holder.empty() && observed_.holder != options_.identity &&
           executor_.now() < lease_end();
  }
  TimePoint lease_end() const {
    return time_after(*observed_at_, std::chrono::seconds(observed_.duration_seconds));
  }
  LeaseRecord mine(int32_t transitions) const {
    const std::string now = micro_time(wall_clock_.now());
    const auto seconds = static_cast<int32_t>(std::ceil(to_seconds(options_.lease_duration)));
    return {options_.identity, std::max(seconds, 1), now, now, transitions};
  }

  // --- When it goes on ---
  void failed(const KubeAnswer& answer) {
    if (releasing_) return released();
    // Somebody else was quicker: that is what a lease is for.
    if (answer.http_status != kHttpConflict) {
      tell(answer.ok() ? "the answer cannot be used: " + unreadable_ : answer.status.message);
    }
    retry_later();
  }
  void tell(const std::string& what) {
    std::string why = "the lease " + options_.name_space + "/" + options_.lease_name + ": " + what;
    if (why == trouble_) return;
    trouble_ = std::move(why);
    probe_.on_election_trouble(trouble_);
  }
  // A leader without jitter: it has a deadline. For others it is that of an attempt, which is over.
  void retry_later() {
    if (!leading_) executor_.cancel(deadline_);
    const double factor = leading_ ? 1 : 1 + kJitter * random_.uniform();
    Duration pause = scaled(options_.retry_period, factor);
    // Not later than the lease ends: candidates that all come then come a little apart.
    if (others_hold_it()) {
      pause = std::min(pause, lease_end() - executor_.now() +
                                  scaled(options_.retry_period, kApart * random_.uniform()));
    }
    retry_in(pause);
  }
  void retry_in(Duration pause) {
    executor_.cancel(retry_);
    retry_ = executor_.after(pause, [this] { attempt(); });
  }
  void arm_deadline(Duration in) {
    executor_.cancel(deadline_);
    deadline_ = executor_.after(in, [this] { on_deadline(); });
  }
  void on_deadline() {
    call_.reset();
    if (releasing_) return released();
    const std::string within = " within " + seconds_text(options_.renew_deadline);
    tell((leading_ ? "it could not be renewed" : "no answer") + within);
    if (leading_) stop_leading();
    retry_later();
  }
  void stop_leading() {
    leading_ = false;
    executor_.cancel(deadline_);
    probe_.on_leading(false);
  }
  void released() {
    executor_.cancel(deadline_);
    executor_.post(lifeline_.guard([this] {
      const std::function<void()> done = std::exchange(released_, nullptr);
      if (done != nullptr) done();
    }));
  }

  std::string lease_path() const {
    return kube_type(KubeKind::kLease).path(options_.name_space, options_.lease_name);
  }
  void ask(KubeRequest request, std::function<void(const KubeAnswer&)> then) {
    call_ =
        api_.start(std::move(request), [this, then = std::move(then)](const KubeAnswer& answer) {
          const std::unique_ptr<KubeCall> call = std::move(call_);  // until this returns
          then(answer);
        });
  }

  Executor& executor_;
  KubeApi& api_;
  const Clock& wall_clock_;
  const LeaderElectionOptions options_;
  const std::string leases_;
  Random& random_;
  LeaderProbe& probe_;
  KubeReader reader_;
  std::unique_ptr<KubeCall> call_;
  std::unique_ptr<KubeCall> watch_;  // of the lease, while another holds it
  TimePoint watch_again_at_{};
  TimerId retry_ = kNoTimer;
  TimerId deadline_ = kNoTimer;
  TimePoint began_at_{};    // of the attempt
  TimePoint renewed_at_{};  // when the attempt began that renewed the lease last
  LeaseRecord observed_;
  std::optional<TimePoint> observed_at_;  // when `observed_` was seen first
  std::string metadata_;                  // of the lease that was seen last, as JSON
  std::string unreadable_;
  std::string trouble_;  // what was told last
  bool leading_ = false;
  bool releasing_ = false;
  std::function<void()> released_;
  Lifeline lifeline_;
};

void LeaderElection::State::release(std::function<void()> done) {
  released_ = std::move(done);
  if (std::exchange(releasing_, true)) return;
  call_.reset();
  watch_.reset();
  executor_.cancel(retry_);
  executor_.cancel(deadline_);
  if (!leading_) return released();
  stop_leading();
  attempt();
}

LeaderElection::LeaderElection(Executor& executor, KubeApi& api, const Clock& wall_clock,
                               LeaderElectionOptions options, Random& random, LeaderProbe& probe)
    : state_(new State(executor, api, wall_clock, std::move(options), random, probe)) {}

LeaderElection::~LeaderElection() = default;

bool LeaderElection::leads() const {
  return state_->leads();
}

void LeaderElection::release(std::function<void()> done) {
  state_->release(std::move(done));
}

}  // namespace kvasir
