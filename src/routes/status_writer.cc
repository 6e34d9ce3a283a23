#include "routes/status_writer.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "kube/kube_time.h"
#include "kube/retry_pause.h"
#include "net/http/http_status.h"
#include "wire/json/json_cursor.h"

namespace kvasir {
namespace {

// metav1.Time: no fractions.
std::string wall_time(const Clock& wall_clock) {
  return micro_time(wall_clock.now()).substr(0, 19) + "Z";
}

template <class T>
std::string resource_version_in(const ObjectStore& store, const ObjectKey& key) {
  const auto object = store.get<T>(key.name_space, key.name);
  return object == nullptr ? "" : object->meta.resource_version;
}

std::string resource_version_of(const ObjectStore& store, const ObjectStatus& status) {
  switch (status.type->as) {
    case KubeKind::kGatewayClass:
      return resource_version_in<GatewayClass>(store, status.key);
    case KubeKind::kGateway:
      return resource_version_in<KubeGateway>(store, status.key);
    case KubeKind::kHTTPRoute:
      return resource_version_in<HTTPRoute>(store, status.key);
    case KubeKind::kInferencePool:
      return resource_version_in<InferencePool>(store, status.key);
    default:
      return "";
  }
}

// Of an object's JSON.
std::string resource_version_said(std::string_view object) {
  JsonMembers members(object);
  while (members.next()) {
    if (members.key() != "metadata") continue;
    JsonMembers meta(members.value());
    while (meta.next()) {
      if (meta.key() != "resourceVersion" || meta.value().size() < 2) continue;
      return json_unescaped(meta.value().substr(1, meta.value().size() - 2));
    }
  }
  return "";
}

bool same(const RouteCondition& a, const RouteCondition& b) {
  return a == b;
}

bool same(const ListenerStatus& a, const ListenerStatus& b) {
  const auto same_kind = [](const auto& x, const auto& y) {
    return x.group == y.group && x.kind == y.kind;
  };
  return a.name == b.name && a.attached_routes == b.attached_routes &&
         a.conditions == b.conditions &&
         std::equal(a.supported_kinds.begin(), a.supported_kinds.end(), b.supported_kinds.begin(),
                    b.supported_kinds.end(), same_kind);
}

bool same(const ObjectStatus::Parent& a, const ObjectStatus::Parent& b) {
  return a.parent.to == b.parent.to && a.parent.section == b.parent.section &&
         a.parent.port == b.parent.port && a.conditions == b.conditions;
}

template <class T>
bool all_same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const T& x, const T& y) { return same(x, y); });
}

bool says_the_same(const ObjectStatus& a, const ObjectStatus& b) {
  return a.addresses == b.addresses && all_same(a.conditions, b.conditions) &&
         all_same(a.listeners, b.listeners) && all_same(a.parents, b.parents);
}

}  // namespace

class StatusWriter::State final : private ObjectStoreListener {
 public:
  State(Executor& executor, KubeApi& api, ObjectStore& store, const Clock& wall_clock,
        StatusWriterOptions options, Random& random, Trouble trouble)
      : executor_(executor),
        api_(api),
        store_(store),
        wall_clock_(wall_clock),
        options_(std::move(options)),
        random_(random),
        trouble_(std::move(trouble)) {
    store_.add_listener(*this);
  }
  ~State() override {
    store_.remove_listener(*this);
    for (auto& [name, entry] : entries_) executor_.cancel(entry.retry);
  }

  void set_statuses(std::vector<ObjectStatus> statuses) {
    ++round_;
    for (ObjectStatus& status : statuses) {
      Name name{status.type, status.key};
      const auto [place, is_new] = entries_.try_emplace(name, options_, random_);
      Entry& entry = place->second;
      entry.round = round_;
      if (is_new || !says_the_same(entry.wanted, status)) entry.settled = false;
      entry.wanted = std::move(status);
      look_again(name, entry);
    }
    forget_others();
    go_on();
  }

  void set_leading(bool leads) {
    if (std::exchange(leads_, leads) || !leads) return;
    for (auto& [name, entry] : entries_) {
      entry.settled = false;
      if (entry.retry == kNoTimer) enqueue(name, entry);
    }
    go_on();
  }

  size_t unwritten() const {
    if (!leads_) return 0;
    size_t count = 0;
    for (const auto& [name, entry] : entries_) count += !entry.settled;
    return count;
  }

 private:
  using Name = std::pair<const KubeType*, ObjectKey>;
  struct Entry {
    Entry(const StatusWriterOptions& options, Random& random)
        : pause(options.pause_min, options.pause_max, random) {}
    ObjectStatus wanted;
    bool settled = false;  // the object says `wanted`, as of `version`
    std::string version;   // its resource version then
    bool queued = false;
    RetryPause pause;
    TimerId retry = kNoTimer;
    std::string told;  // the trouble
    uint64_t round = 0;
  };

  // Somebody may have written over what is ours.
  void on_change(const ObjectChange& change) override {
    if (change.after == nullptr) return;
    const Name name{change.after->type, change.after->meta.key()};
    const auto found = entries_.find(name);
    if (found != entries_.end()) look_again(name, found->second);
  }
  void on_batch_end() override { go_on(); }

  void look_again(const Name& name, Entry& entry) {
    const bool is_settled =
        entry.settled &&
        (entry.version == resource_version_of(store_, entry.wanted) || says_nothing(entry));
    if (is_settled) return;
    entry.settled = false;
    if (entry.retry == kNoTimer) enqueue(name, entry);
  }
  static bool says_nothing(const Entry& entry) {
    return entry.wanted.parents.empty() && entry.wanted.conditions.empty();
  }

  void enqueue(const Name& name, Entry& entry) {
    if (!std::exchange(entry.queued, true)) queue_.push_back(name);
  }

  void forget_others() {
    for (auto place = entries_.begin(); place != entries_.end();) {
      if (place->second.round == round_) {
        ++place;
        continue;
      }
      executor_.cancel(place->second.retry);
      place = entries_.erase(place);
    }
  }

  void go_on() {
    while (leads_ && call_ == nullptr && !queue_.empty()) {
      current_ = queue_.front();
      queue_.pop_front();
      const auto found = entries_.find(current_);
      if (found == entries_.end() || !found->second.queued) continue;
      found->second.queued = false;
      ask({"GET", path()}, &State::on_read);
    }
  }

  std::string path() const {
    return current_.first->path(current_.second.name_space, current_.second.name);
  }

  void ask(KubeRequest request, void (State::*then)(const KubeAnswer&)) {
    call_ = api_.start(std::move(request), [this, then](const KubeAnswer& answer) {
      const std::unique_ptr<KubeCall> call = std::move(call_);  // until this returns
      (this->*then)(answer);
      go_on();
    });
  }

  // Null: it went while it was asked for.
  Entry* current() {
    const auto found = entries_.find(current_);
    return found == entries_.end() ? nullptr : &found->second;
  }

  void on_read(const KubeAnswer& answer) {
    Entry* const entry = current();
    if (entry == nullptr || !leads_ || answer.http_status == kHttpNotFound) return;
    if (!answer.ok()) return failed(*entry, answer);
    // It has changed since this was worked out; its change comes through the store, too.
    if (resource_version_said(answer.body) != resource_version_of(store_, entry->wanted)) return;
    const Result<std::string> changed =
        with_status(answer.body, entry->wanted, options_.controller_name, wall_time(wall_clock_));
    if (!changed) return;
    if (changed->empty()) return succeeded(*entry, answer);
    writing_ = entry->wanted;
    ask({"PUT", path() + "/status", *changed}, &State::on_written);
  }

  void on_written(const KubeAnswer& answer) {
    Entry* const entry = current();
    if (entry == nullptr || answer.http_status == kHttpNotFound) return;
    if (!answer.ok()) return failed(*entry, answer);
    if (!says_the_same(writing_, entry->wanted)) return enqueue(current_, *entry);
    succeeded(*entry, answer);
  }

  void succeeded(Entry& entry, const KubeAnswer& answer) {
    entry.settled = true;
    entry.version = resource_version_said(answer.body);
    entry.pause.reset();
    entry.told.clear();
  }

  void failed(Entry& entry, const KubeAnswer& answer) {
    const bool conflict = answer.http_status == kHttpConflict;
    if (!conflict && entry.told != answer.status.message) {
      entry.told = answer.status.message;
      trouble_(*current_.first, current_.second, answer.status, entry.told);
    }
    entry.retry = executor_.after(entry.pause.next(), [this, name = current_] {
      Entry& again = entries_.at(name);
      again.retry = kNoTimer;
      enqueue(name, again);
      go_on();
    });
  }

  Executor& executor_;
  KubeApi& api_;
  ObjectStore& store_;
  const Clock& wall_clock_;
  const StatusWriterOptions options_;
  Random& random_;
  const Trouble trouble_;
  std::map<Name, Entry> entries_;
  std::deque<Name> queue_;
  bool leads_ = false;
  uint64_t round_ = 0;
  std::unique_ptr<KubeCall> call_;  // of current_
  Name current_{};
  ObjectStatus writing_;
};

StatusWriter::StatusWriter(Executor& executor, KubeApi& api, ObjectStore& store,
                           const Clock& wall_clock, StatusWriterOptions options, Random& random,
                           Trouble trouble)
    : state_(std::make_unique<State>(executor, api, store, wall_clock, std::move(options), random,
                                     std::move(trouble))) {}

StatusWriter::~StatusWriter() = default;

void StatusWriter::set_statuses(std::vector<ObjectStatus> statuses) {
  state_->set_statuses(std::move(statuses));
}

void StatusWriter::set_leading(bool leads) {
  state_->set_leading(leads);
}

size_t StatusWriter::unwritten() const {
  return state_->unwritten();
}

}  // namespace kvasir
