#include "kube/reflector.h"

#include <algorithm>
#include <utility>

#include "base/lifeline.h"
#include "base/text.h"
#include "kube/object_mirror.h"
#include "kube/retry_pause.h"
#include "kube/silence_timer.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

// A watch that ends sooner than this without a word did not work.
constexpr Duration kShortWatch = std::chrono::seconds(1);
constexpr size_t kPagesMax = 10'000;  // of one list

std::string place_of(const KubeType& type, const ReflectorOptions& options) {
  std::string place(type.plural);
  if (!type.group.empty()) place.append(".").append(type.group);
  if (type.namespaced) {
    place +=
        options.name_space.empty() ? " of all namespaces" : " in namespace " + options.name_space;
  }
  return place;
}

std::string words_of(const KubeStatus& status) {
  if (!status.message.empty()) return status.message;
  return status.code == 0 ? "no answer" : "status " + std::to_string(status.code);
}

}  // namespace

class Reflector::State final : public KubeWatchObserver {
 public:
  State(Executor& executor, KubeApi& api, ObjectStore& store, const KubeType& type,
        ReflectorOptions options, Random& random, ReflectorProbe& probe)
      : executor_(executor),
        api_(api),
        store_(store),
        type_(type),
        options_(std::move(options)),
        random_(random),
        probe_(probe),
        place_(place_of(type, options_)),
        streams_(options_.streaming_list),
        pause_(options_.pause_min, options_.pause_max, random),
        silence_(executor, [this] { on_silence(); }),
        mirror_(store, type.as, [this](const ObjectKey& key, const std::string& why) {
          probe_.on_object_refused(type_, key, why);
        }) {
    begin();
  }
  ~State() override { executor_.cancel(next_); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void on_line(std::string_view json) override;
  void on_end(const KubeAnswer& answer) override;

  const KubeType& type() const { return type_; }
  bool synced() const { return synced_; }
  size_t objects() const { return mirror_.size(); }
  std::optional<TimePoint> heard_at() const { return heard_at_; }
  bool absent() const { return absent_; }

 private:
  enum class Phase : uint8_t { kStreamingList, kPages, kWatch };

  void begin();
  void begin_again(Duration pause);
  std::string target(std::string_view query) const;
  std::string watch_seconds();
  void start_watch(Phase phase, const std::string& query);
  void start_page();
  void on_page(KubeAnswer answer);
  bool brings_on(const KubeWatchEvent& event) const;
  void take(KubeWatchEvent event);
  void bookmark(const KubeWatchEvent& event);
  void list_ended(std::string resource_version);
  void news_came();
  void on_silence();
  void failed(const KubeStatus& status);
  void list_failed(const KubeStatus& status);
  bool list_otherwise(const KubeStatus& status);
  void watch_failed(const KubeStatus& status);
  void not_readable(const std::string& what, const Error& why);
  void tell(const KubeStatus& status, const std::string& more = {});
  Duration pause_after(const KubeStatus& status);

  void open_batch();
  void end_batch();

  Executor& executor_;
  KubeApi& api_;
  ObjectStore& store_;
  const KubeType& type_;
  const ReflectorOptions options_;
  Random& random_;
  ReflectorProbe& probe_;
  const std::string place_;
  KubeReader reader_;

  Phase phase_ = Phase::kPages;
  std::unique_ptr<KubeCall> call_;
  bool over_ = true;  // what the call says counts no more
  TimePoint began_at_;
  bool heard_a_word_ = false;  // of this call
  TimerId next_ = kNoTimer;

  bool streams_;
  bool lists_once_ = false;     // in pages, because the watch is not allowed
  size_t expired_lists_ = 0;    // in a row
  size_t unfinished_lists_ = 0;  // streaming ones that ended by themselves before their bookmark
  size_t pages_ = 0;            // of this list, so far
  std::string continue_token_;  // of the next one
  std::string position_;        // resource version; empty: a list comes first
  size_t lists_without_news_ = 0;
  RetryPause pause_;
  SilenceTimer silence_;
  bool synced_ = false;
  bool absent_ = false;
  std::optional<TimePoint> heard_at_;
  std::string told_;
  bool batch_open_ = false;
  ObjectMirror mirror_;
  Lifeline lifeline_;
};

// --- what is asked ---

void Reflector::State::begin() {
  over_ = false;
  heard_a_word_ = false;
  began_at_ = executor_.now();
  if (!position_.empty()) {
    return start_watch(Phase::kWatch, "watch=1&allowWatchBookmarks=true&resourceVersion=" +
                                          percent_encoded(position_) + watch_seconds());
  }
  mirror_.begin_list();
  pages_ = 0;
  continue_token_.clear();
  if (streams_ && !std::exchange(lists_once_, false)) {
    return start_watch(Phase::kStreamingList,
                       "watch=1&allowWatchBookmarks=true&sendInitialEvents=true"
                       "&resourceVersionMatch=NotOlderThan" +
                           watch_seconds());
  }
  start_page();
}

// The call may be further up on the stack: it goes in a later turn.
void Reflector::State::begin_again(Duration pause) {
  over_ = true;
  silence_.stop();
  executor_.post(lifeline_.guard([this, pause] {
    call_.reset();
    next_ = executor_.after(pause, [this] {
      next_ = kNoTimer;
      begin();
    });
  }));
}

std::string Reflector::State::target(std::string_view query) const {
  std::string target = type_.path(options_.name_space);
  target.append("?").append(query);
  if (!options_.label_selector.empty()) {
    target += "&labelSelector=" + percent_encoded(options_.label_selector);
  }
  if (!options_.field_selector.empty()) {
    target += "&fieldSelector=" + percent_encoded(options_.field_selector);
  }
  return target;
}

std::string Reflector::State::watch_seconds() {
  const Duration length = scaled(options_.watch_length, 1 + random_.uniform());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(length).count();
  return "&timeoutSeconds=" + std::to_string(std::max<int64_t>(seconds, 1));
}

void Reflector::State::start_watch(Phase phase, const std::string& query) {
  phase_ = phase;
  call_ = api_.watch(target(query), *this);
  silence_.start(phase == Phase::kWatch ? options_.silence_max : options_.list_silence_max);
}

void Reflector::State::start_page() {
  phase_ = Phase::kPages;
  std::string query = "resourceVersion=";  // the newest there is
  if (expired_lists_ < 2) query = "limit=" + std::to_string(options_.page_objects);
  if (!continue_token_.empty()) query += "&continue=" + percent_encoded(continue_token_);
  call_ =
      api_.start({"GET", target(query)}, [this](KubeAnswer answer) { on_page(std::move(answer)); });
}

// --- what comes ---

void Reflector::State::on_page(KubeAnswer answer) {
  if (over_) return;
  if (!answer.ok()) {
    answer.status.code = answer.http_status;
    return failed(answer.status);
  }
  Result<KubeListPage> page = reader_.read_list(answer.body, type_);
  if (!page) return not_readable("a list", page.error());
  for (KubeObjectPtr& object : page->objects) mirror_.take(std::move(object));
  for (const auto& [key, problems] : page->refused) {
    mirror_.take_unreadable(key, to_string(problems));
  }
  continue_token_ = std::move(page->continue_token);
  if (continue_token_.empty()) {
    list_ended(std::move(page->resource_version));
    return begin_again(position_.empty() ? pause_.next() : Duration::zero());
  }
  store_.end_batch();
  if (++pages_ == kPagesMax) return not_readable("a list", Error{"it has too many pages"});
  executor_.post(lifeline_.guard([this] { start_page(); }));
}

void Reflector::State::on_line(std::string_view json) {
  if (over_) return;
  Result<KubeWatchEvent> event = reader_.read_event(json, type_);
  if (!event) return not_readable("an event", event.error());
  if (brings_on(*event)) silence_.heard();
  if (event->kind == KubeWatchEvent::Kind::kError) {
    if (event->status.code == 0) event->status.code = 500;  // zero would say that nobody answered
    return failed(event->status);
  }
  heard_a_word_ = true;
  take(std::move(*event));
}

// A server that does not know streaming lists sends what a watch has, and never that bookmark.
bool Reflector::State::brings_on(const KubeWatchEvent& event) const {
  return phase_ == Phase::kWatch || (event.kind == KubeWatchEvent::Kind::kAdded &&
                                     executor_.now() - began_at_ < options_.list_length_max);
}

void Reflector::State::take(KubeWatchEvent event) {
  if (event.kind == KubeWatchEvent::Kind::kBookmark) return bookmark(event);
  open_batch();
  if (event.kind == KubeWatchEvent::Kind::kDeleted) {
    mirror_.take_deleted(event.key, event.resource_version);
  } else if (event.object != nullptr) {
    mirror_.take(std::move(event.object));
  } else {
    mirror_.take_unreadable(event.key, to_string(event.problems));
  }
  if (phase_ != Phase::kWatch) return;
  if (!event.resource_version.empty()) position_ = std::move(event.resource_version);
  news_came();
}

void Reflector::State::bookmark(const KubeWatchEvent& event) {
  if (phase_ == Phase::kWatch) {
    if (!event.resource_version.empty()) position_ = event.resource_version;
    return news_came();
  }
  if (!event.initial_events_end) return;
  // The same call goes on as a watch.
  phase_ = Phase::kWatch;
  list_ended(event.resource_version);
  told_.clear();
  if (position_.empty()) return begin_again(pause_.next());
  silence_.start(options_.silence_max);
}

void Reflector::State::list_ended(std::string resource_version) {
  mirror_.end_list();
  position_ = std::move(resource_version);
  expired_lists_ = 0;
  // A watch that never works after its list must not make a list of each try.
  if (++lists_without_news_ == 1) pause_.reset();
  synced_ = true;
  absent_ = false;
  heard_at_ = executor_.now();
  batch_open_ = true;
  end_batch();
  probe_.on_synced(type_, mirror_.size());
}

void Reflector::State::news_came() {
  heard_at_ = executor_.now();
  lists_without_news_ = 0;
  pause_.reset();
  told_.clear();
}

void Reflector::State::on_end(const KubeAnswer& answer) {
  if (over_) return;
  if (!answer.ok()) {
    KubeStatus status = answer.status;
    status.code = answer.http_status;
    return failed(status);
  }
  KubeStatus ended;
  if (phase_ == Phase::kStreamingList) {
    ended.message = "the list ended before its end";
    if (++unfinished_lists_ == 2) streams_ = false;
    return failed(ended);
  }
  const bool brief = executor_.now() - began_at_ < kShortWatch;
  if (brief && !heard_a_word_) {
    ended.message = "a watch ended at once";
    return failed(ended);
  }
  if (!mirror_.complete()) position_.clear();  // there may be room now for what was left out
  begin_again(brief ? options_.pause_min : Duration::zero());
}

// --- what goes wrong ---

void Reflector::State::on_silence() {
  if (phase_ == Phase::kWatch && heard_a_word_) return begin_again(Duration::zero());
  KubeStatus silent;
  if (phase_ == Phase::kStreamingList) streams_ = false;
  if (heard_a_word_) {
    silent.message = "the list did not come to its end";
    return failed(silent);
  }
  silent.message = "no word from the API server for " +
                   std::to_string(static_cast<int64_t>(to_seconds(silence_.silence_max()))) + " s";
  failed(silent);
}

void Reflector::State::failed(const KubeStatus& status) {
  if (phase_ == Phase::kWatch) return watch_failed(status);
  list_failed(status);
}

void Reflector::State::list_failed(const KubeStatus& status) {
  if (list_otherwise(status)) return begin_again(Duration::zero());
  expired_lists_ = 0;
  if (status.code != kHttpForbidden && status.code != kHttpNotFound) {
    tell(status);
    return begin_again(pause_after(status));
  }
  absent_ = true;
  tell(status, status.code == kHttpNotFound ? " (is this kind installed?)" : "");
  begin_again(scaled(options_.absent_pause, 1 - random_.uniform() / 4));
}

// Whether another way to list may work where this one did not.
bool Reflector::State::list_otherwise(const KubeStatus& status) {
  if (phase_ == Phase::kPages) return status.code == kHttpGone && ++expired_lists_ <= 2;
  if (status.code == kHttpForbidden) lists_once_ = true;
  const bool cannot = status.code == 400 || status.code == 422 || status.code == 500;
  if (cannot) streams_ = false;
  return cannot || status.code == kHttpForbidden;
}

void Reflector::State::watch_failed(const KubeStatus& status) {
  const Duration pause = pause_after(status);
  switch (status.code) {
    case kHttpGone:
      position_.clear();
      return begin_again(pause);
    case kHttpForbidden:
      position_.clear();
      tell(status);
      return begin_again(scaled(options_.absent_pause, 1 - random_.uniform() / 4));
    case kHttpTooManyRequests:  // a list would be more work for a server that has too much
      if (pause_.failures() > 1) tell(status);
      return begin_again(pause);
    case 0:
    case 500:
    case kHttpBadGateway:
    case kHttpServiceUnavailable:
    case kHttpGatewayTimeout:
      if (pause_.failures() > 1) tell(status);
      if (pause_.failures() >= kResumesMax) position_.clear();
      return begin_again(pause);
    case kHttpUnauthorized:
      tell(status);
      return begin_again(pause);
    default:
      position_.clear();
      tell(status);
      return begin_again(pause);
  }
}

// Nothing after it can be trusted, and a watch that goes on from here would meet it again.
void Reflector::State::not_readable(const std::string& what, const Error& why) {
  position_.clear();
  KubeStatus status;
  status.message = what + " from the API server cannot be read: " + why.message;
  tell(status);
  begin_again(pause_.next());
}

void Reflector::State::tell(const KubeStatus& status, const std::string& more) {
  const char* what = phase_ == Phase::kPages ? "cannot list " : "cannot watch ";
  std::string why = what + place_ + ": " + words_of(status) + more;
  if (why == told_) return;
  told_ = std::move(why);
  probe_.on_trouble(type_, status, told_);
}

Duration Reflector::State::pause_after(const KubeStatus& status) {
  const Duration asked = std::chrono::seconds(std::max(status.retry_after_seconds, 0));
  return std::max(pause_.next(), std::min(asked, options_.pause_max));
}

// --- batches ---

// What one read of the connection brings comes within one turn.
void Reflector::State::open_batch() {
  if (std::exchange(batch_open_, true)) return;
  executor_.post(lifeline_.guard([this] { end_batch(); }));
}

void Reflector::State::end_batch() {
  if (std::exchange(batch_open_, false)) store_.end_batch();
}

// --- the public class ---

Reflector::Reflector(Executor& executor, KubeApi& api, ObjectStore& store, const KubeType& type,
                     ReflectorOptions options, Random& random, ReflectorProbe& probe)
    : state_(
          std::make_unique<State>(executor, api, store, type, std::move(options), random, probe)) {}

Reflector::~Reflector() = default;

const KubeType& Reflector::type() const {
  return state_->type();
}

size_t Reflector::objects() const {
  return state_->objects();
}

bool Reflector::synced() const {
  return state_->synced();
}

std::optional<TimePoint> Reflector::heard_at() const {
  return state_->heard_at();
}

bool Reflector::absent() const {
  return state_->absent();
}

}  // namespace kvasir
