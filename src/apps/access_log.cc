#include "apps/access_log.h"

#include <optional>

#include "apps/tenant_words.h"
#include "tenants/tenant.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

class AccessLine {
 public:
  AccessLine(WallTime time, std::string& out) : out_(out) {
    out_ += "{\"time\":\"";
    append_log_time(time, out_);
    out_ += '"';
  }
  ~AccessLine() { out_ += "}\n"; }

  void text(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    key(name);
    append_json_string(value, out_);
  }
  void number(std::string_view name, std::optional<uint64_t> value) {
    if (!value) return;
    key(name);
    append_number(static_cast<int64_t>(*value), out_);
  }
  void milliseconds(std::string_view name, std::optional<Duration> value) {
    if (!value) return;
    key(name);
    append_decimal(to_milliseconds(*value), out_);
  }

 private:
  void key(std::string_view name) { out_.append(",\"").append(name).append("\":"); }

  std::string& out_;
};

std::optional<Duration> unless_none(Duration duration) {
  return duration > Duration::zero() ? std::optional<Duration>(duration) : std::nullopt;
}

}  // namespace

void append_access_line(WallTime time, const VisitReport& report, std::string& out) {
  AccessLine line(time, out);
  line.text("tenant", report.tenant == nullptr ? "" : report.tenant->name);
  line.text("request_id", report.request_id);
  line.text("method", report.method);
  line.text("path", report.path);
  line.text("model", report.model);
  line.text("route", report.route);
  line.text("endpoint", report.endpoint);
  line.number("status", static_cast<uint64_t>(report.status));
  line.text("end", word_of(report.end));
  line.text("refused", word_of(report.refusal));
  line.milliseconds("duration_ms", report.total);
  line.milliseconds("first_byte_ms", report.first_byte);
  line.milliseconds("held_ms", unless_none(report.held));
  line.number("request_bytes", report.request_bytes);
  line.number("answer_bytes", report.answer_bytes);
  line.number("prompt_tokens", report.prompt_tokens);
  line.number("completion_tokens", report.completion_tokens);
  line.number("cached_tokens", report.cached_tokens);
  if (report.counted_tokens > 0) line.number("counted_tokens", report.counted_tokens);
}

void AccessLog::ended(const VisitReport& report) {
  std::string line;
  line.reserve(512);
  append_access_line(std::chrono::system_clock::now(), report, line);
  writer_->write(line);
}

void AccessLog::add_counts(MetricRegistry& page) const {
  page.counter("kvasir_gateway_access_log_lines_total", "Lines of the access log.")
      .add(writer_->lines());
  page.counter("kvasir_gateway_access_log_dropped_total",
               "Lines of the access log that were dropped: nobody took them in time.")
      .add(writer_->dropped());
}

}  // namespace kvasir
