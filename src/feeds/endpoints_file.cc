#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "base/parameters.h"
#include "base/whole_file.h"
#include "feeds/address_book.h"
#include "feeds/discovery.h"
#include "feeds/file_watch.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

class FileReader {
 public:
  explicit FileReader(std::string_view name) : name_(name) {}

  Result<std::vector<Endpoint>> read(const Value& document) {
    const Value* list = document.find("endpoints");
    if (list == nullptr || list->list() == nullptr) {
      problem(document.line(), "must be a map with a list 'endpoints'");
    } else {
      Parameters top(document, "the file", "key");
      top.any("endpoints");
      take_problems(top);
      for (const Value& entry : *list->list()) read_endpoint(entry);
    }
    if (!problems_.empty()) return Error{problems_};
    return std::move(endpoints_);
  }
  Error error(const Remark& remark) {
    problem(remark.line, remark.text);
    return Error{problems_};
  }

 private:
  // A log line holds no more.
  static constexpr size_t kProblemsBytesMax = 8 * 1024;

  void problem(int line, std::string_view text) {
    if (problems_.size() > kProblemsBytesMax) return;
    problems_.append(problems_.empty() ? "" : "\n").append(name_);
    if (line > 0) problems_.append(":").append(std::to_string(line));
    problems_.append(": ").append(text);
  }
  void take_problems(const Parameters& parameters) {
    for (const Remark& remark : parameters.problems()) problem(remark.line, remark.text);
  }

  void read_endpoint(const Value& value) {
    Parameters fields(value, "endpoints", "key");
    Endpoint endpoint;
    endpoint.name = fields.text("name", "");
    if (endpoint.name.empty()) fields.fail("name", "is missing");
    const std::string space = fields.text("namespace", "");
    if (!space.empty()) endpoint.name = space + "/" + endpoint.name;
    if (has_control_characters(endpoint.name)) {
      fields.fail("name", "must not contain control characters: x-selected-pod tells it");
    }
    endpoint.host = fields.text("address", "");
    if (!literal_address(endpoint.host)) fields.fail("address", "must be an IP address");
    endpoint.port = read_port(fields);
    if (const Value* labels = fields.any("labels")) read_labels(*labels, fields, endpoint);
    if (!names_.insert(endpoint.name).second) fields.fail("name", "stands twice");
    take_problems(fields);
    endpoints_.push_back(std::move(endpoint));
  }

  // Upstream writes ports as texts.
  static uint16_t read_port(Parameters& fields) {
    const Value* port = fields.any("port");
    int64_t number = 0;
    if (port != nullptr && port->integer() != nullptr) number = *port->integer();
    if (port != nullptr && port->text() != nullptr) {
      for (const char digit : *port->text()) {
        number =
            digit >= '0' && digit <= '9' && number <= 65535 ? 10 * number + (digit - '0') : 65536;
      }
    }
    if (number < 1 || number > 65535) fields.fail("port", "must be a port, from 1 to 65535");
    return static_cast<uint16_t>(number);
  }

  static void read_labels(const Value& labels, Parameters& fields, Endpoint& endpoint) {
    if (labels.is_null()) return;
    if (labels.map() == nullptr) return fields.fail("labels", "must be a map");
    for (const auto& [key, value] : *labels.map()) {
      if (value.text() == nullptr) return fields.fail("labels", key + ": must be a text");
      endpoint.labels[key] = *value.text();
    }
  }

  const std::string name_;
  std::vector<Endpoint> endpoints_;
  std::set<std::string> names_;
  std::string problems_;
};

Error unreadable(const std::string& path, const Error& why) {
  return Error{path + ": cannot be read (" + why.message + ")"};
}

// An endpoint with twenty labels has some fifty values (keys count) and a thousand bytes.
constexpr size_t kValuesPerEndpoint = 64;
constexpr size_t kBytesPerEndpoint = 2048;

YamlLimits limits_for(size_t endpoints) {
  YamlLimits limits;
  limits.bytes = std::max(limits.bytes, endpoints * kBytesPerEndpoint);
  limits.values = std::max(limits.values, endpoints * kValuesPerEndpoint);
  return limits;
}

class FileDiscovery final : public Discovery {
 public:
  FileDiscovery(EventLoop& loop, std::string path, Duration interval, DiscoveryListener& listener,
                size_t endpoints_most)
      : loop_(loop),
        path_(std::move(path)),
        interval_(interval),
        listener_(listener),
        endpoints_most_(endpoints_most),
        job_(loop) {}

  Result<void> start() {
    const size_t bytes_max = limits_for(endpoints_most_).bytes;
    Result<std::string> text = read_whole_file(path_, bytes_max);
    if (!text) return unreadable(path_, text.error());
    Result<std::vector<Endpoint>> first = read_endpoints_file(*text, path_, endpoints_most_);
    if (!first) return first.error();
    listener_.on_endpoints(std::move(*first));
    if (interval_ == Duration::zero()) return {};
    watch_ = std::make_unique<FileWatch>(
        loop_, path_, std::move(*text), bytes_max, interval_,
        [this](const Result<std::string>& changed) { on_changed(changed); });
    return {};
  }

 private:
  using List = Result<std::vector<Endpoint>>;

  void on_changed(const Result<std::string>& text) {
    if (!text) {
      return listener_.on_discovery_failed(path_, unreadable(path_, text.error()).message);
    }
    text_ = *text;
    if (!job_.busy()) read();
  }

  // A large file takes a while.
  void read() {
    const std::string text = std::move(*std::exchange(text_, std::nullopt));
    const bool started = job_.start([this, text, name = path_, most = endpoints_most_] {
      auto list = std::make_shared<List>(read_endpoints_file(text, name, most));
      return [this, list] { take(std::move(*list)); };
    });
    if (!started) take(read_endpoints_file(text, path_, endpoints_most_));
  }

  // Unless the file has changed once more meanwhile.
  void take(List list) {
    if (text_) return read();
    if (list) return listener_.on_endpoints(std::move(*list));
    listener_.on_discovery_failed(path_, list.error().message);
  }

  EventLoop& loop_;
  const std::string path_;
  const Duration interval_;
  DiscoveryListener& listener_;
  const size_t endpoints_most_;
  std::optional<std::string> text_;  // to be read
  BackgroundJob job_;
  std::unique_ptr<FileWatch> watch_;
};

}  // namespace

Result<std::vector<Endpoint>> read_endpoints_file(std::string_view text, std::string_view name,
                                                  size_t endpoints_most) {
  FileReader reader(name);
  const std::variant<Value, Remark> parsed = parse_yaml(text, 0, limits_for(endpoints_most));
  if (const auto* remark = std::get_if<Remark>(&parsed)) return reader.error(*remark);
  return reader.read(std::get<Value>(parsed));
}

Result<std::unique_ptr<Discovery>> watch_endpoints_file(EventLoop& loop, const std::string& path,
                                                        Duration interval,
                                                        DiscoveryListener& listener,
                                                        size_t endpoints_most) {
  auto discovery =
      std::make_unique<FileDiscovery>(loop, path, interval, listener, endpoints_most);
  if (Result<void> started = discovery->start(); !started) return started.error();
  return std::unique_ptr<Discovery>(std::move(discovery));
}

}  // namespace kvasir
