#include "gateway/mirrors.h"

#include <utility>

#include "net/io/byte_buffer.h"

namespace kvasir {

// A request without a client.
class MirrorExchange final : public HttpExchange {
 public:
  MirrorExchange(Mirrors& all, const HttpHead& head, std::shared_ptr<const std::string> body,
                 std::shared_ptr<const RouteRule> rule, const RouteTarget& target)
      : all_(all), head_(head), body_(std::move(body)), rule_(std::move(rule)), target_(target) {}
  ~MirrorExchange() { all_.remove(*this); }
  MirrorExchange(const MirrorExchange&) = delete;
  MirrorExchange& operator=(const MirrorExchange&) = delete;

  const HttpHead& head() const override { return head_; }
  void set_target(std::string_view target, std::string_view host) override {
    head_.set_target(target);
    if (!host.empty()) head_.set_field("Host", host);
  }
  HttpHead& editable_head() override { return head_; }
  std::string_view body() const override {
    return body_ == nullptr ? "" : std::string_view(*body_);
  }
  void release_body() override { body_ = nullptr; }
  // Nobody leaves, and nobody is slow.
  void set_observer(Observer*) override {}
  void respond(int status, std::string_view, std::string_view) override {
    status_ = status;
    leave(false);
  }
  void start(int status, std::string_view) override { status_ = status; }
  void write(std::string_view) override {}
  void finish(std::string_view) override { leave(false); }
  RawRelay* raw() override { return nullptr; }
  void abort() override { leave(true); }
  size_t unsent_bytes() const override { return 0; }

 private:
  void leave(bool is_cut) {
    all_.probe().on_mirrored({*rule_, target_, status_, is_cut});
    delete this;
  }

  Mirrors& all_;
  HttpHead head_;
  std::shared_ptr<const std::string> body_;
  const std::shared_ptr<const RouteRule> rule_;
  const RouteTarget target_;
  int status_ = 0;
};

Mirrors::~Mirrors() {
  for (MirrorExchange* const exchange : std::exchange(open_, {})) delete exchange;
}

std::shared_ptr<const std::string> Mirrors::copy_of(std::string_view body) {
  if (*bytes_ + body.size() > kBytesMost) return nullptr;
  auto copy = std::make_unique<std::string>();
  copy->reserve(body.size() + ByteBuffer::kReadablePadding);
  copy->assign(body);
  *bytes_ += body.size();
  return {copy.release(), [bytes = bytes_](const std::string* text) {
            *bytes -= text->size();
            delete text;
          }};
}

HttpExchange* Mirrors::start(const HttpHead& head, std::shared_ptr<const std::string> body,
                             std::shared_ptr<const RouteRule> rule, const RouteTarget& target) {
  if (open_.size() >= kMost) return nullptr;
  auto* const exchange = new MirrorExchange(*this, head, std::move(body), std::move(rule), target);
  open_.insert(exchange);
  return exchange;
}

}  // namespace kvasir
