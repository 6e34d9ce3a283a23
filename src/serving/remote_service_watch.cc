#include "serving/remote_service_watch.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "feeds/address_book.h"

namespace kvasir {
namespace {

// The service of that source as it was found before, whatever plugin asked it then.
const RemoteService* find_service(const std::vector<RemoteService>& services,
                                  const RemoteSource& source) {
  const auto found =
      std::find_if(services.begin(), services.end(),
                   [&](const RemoteService& service) { return service.source.url == source.url; });
  return found == services.end() ? nullptr : &*found;
}

bool is_same(const SocketAddress& a, const SocketAddress& b) {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

bool is_same(const std::vector<RemoteService>& a, const std::vector<RemoteService>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const RemoteService& x, const RemoteService& y) {
                      return x.source.plugin == y.source.plugin && x.source.url == y.source.url &&
                             is_same(x.address, y.address);
                    });
}

}  // namespace

RemoteServiceWatch::RemoteServiceWatch(EventLoop& loop, std::vector<RemoteSource> sources,
                                       const std::vector<RemoteService>& known, Duration interval,
                                       Changed changed, Trouble trouble, LookUp look_up_one)
    : loop_(loop),
      sources_(std::move(sources)),
      interval_(interval),
      changed_(std::move(changed)),
      trouble_(std::move(trouble)),
      look_up_(std::move(look_up_one)),
      job_(loop) {
  for (const RemoteSource& source : sources_) {
    const RemoteService* service = find_service(known, source);
    if (service != nullptr) services_.push_back({source, service->host, service->address});
  }
  changed_(services_);
  if (may_change()) look_up();
}

// Literal addresses are looked up once.
bool RemoteServiceWatch::may_change() const {
  return services_.size() < sources_.size() ||
         std::any_of(sources_.begin(), sources_.end(), [](const RemoteSource& source) {
           const Result<HostPort> origin = parse_http_origin(source.url);
           return origin && !literal_address(origin->host);
         });
}

RemoteServiceWatch::~RemoteServiceWatch() {
  loop_.cancel(timer_);
}

void RemoteServiceWatch::look_up() {
  const bool started = job_.start([this, sources = sources_, one = look_up_] {
    auto found = std::make_shared<Found>();
    for (const RemoteSource& source : sources) found->push_back(one(source));
    return [this, found] { take(*found); };
  });
  if (!started) take(Found(sources_.size(), Error{"the system gives no thread for a look-up"}));
}

void RemoteServiceWatch::take(const Found& found) {
  std::vector<RemoteService> services;
  std::string why;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const RemoteService* before = find_service(services_, sources_[i]);
    if (found[i]) {
      services.push_back(*found[i]);
    } else {
      if (why.empty()) why = found[i].error().message;
      if (before != nullptr) services.push_back(*before);
    }
  }
  const bool failed_before = std::exchange(failing_, !why.empty());
  if (failing_ && !failed_before) trouble_(why);
  const bool same = is_same(services, services_);
  services_ = std::move(services);
  if (may_change()) timer_ = loop_.after(interval_, [this] { look_up(); });
  if (!same) changed_(services_);
}

}  // namespace kvasir
