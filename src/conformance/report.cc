
#include "base/text.h"
#include "conformance/suite.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// Longest of what was expected or seen that is shown to people.
constexpr size_t kShownBytesMax = 300;
constexpr size_t kIdColumns = 26;
constexpr size_t kSeverityColumns = 10;

// Control characters made visible; long texts cut.
std::string shown(const std::string& text) {
  std::string result;
  for (const char letter : text.substr(0, kShownBytesMax)) {
    if (letter == '\n') {
      result += "\\n";
    } else {
      result += static_cast<unsigned char>(letter) < 0x20 ? '?' : letter;
    }
  }
  return text.size() > kShownBytesMax ? result + "..." : result;
}

std::string padded(std::string_view text, size_t columns) {
  std::string result(text);
  if (result.size() < columns) result.append(columns - result.size(), ' ');
  return result + " ";
}

std::string json_string(std::string_view text) {
  std::string json;
  append_json_string(text, json);
  return json;
}

// XML 1.0 has no control characters, so those are shown as the table shows them.
std::string xml(const std::string& text) {
  std::string result;
  for (const char letter : shown(text)) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += letter;
    }
  }
  return result;
}

std::string counted(const SuiteReport& report, Severity severity) {
  return std::string(name_of(severity)) + ": " +
         std::to_string(report.count(CheckVerdict::kPass, severity)) + " passed, " +
         std::to_string(report.count(CheckVerdict::kFail, severity)) + " failed, " +
         std::to_string(report.count(CheckVerdict::kSkip, severity)) + " skipped\n";
}

}  // namespace

std::string table_line(const CheckResult& result) {
  const Check& check = *result.check;
  const std::string indent(5, ' ');
  std::string line = padded(name_of(result.finding.verdict), 4) + padded(check.id, kIdColumns) +
                     padded(name_of(check.severity), kSeverityColumns) + check.demand + "\n";
  if (result.finding.verdict == CheckVerdict::kSkip)
    line += indent + "skipped: " + shown(result.finding.seen) + "\n";
  if (result.finding.verdict != CheckVerdict::kFail) return line;
  return line + indent + "expected: " + shown(result.finding.expected) + "\n" + indent +
         "seen:     " + shown(result.finding.seen) + "\n" + indent + "source:   " + check.source +
         "\n";
}

std::string closing_text(const SuiteReport& report) {
  std::string text = "\n";
  for (const Severity severity : {Severity::kMust, Severity::kShould, Severity::kReference}) {
    text += counted(report, severity);
  }
  text += report.conforms() ? "Every MUST that could be checked holds.\n"
                            : "This picker does not conform.\n";
  text += "\nNot seen from outside, and so not checked:\n";
  for (const char* sentence : unseen_properties()) text += std::string("  - ") + sentence + "\n";
  return text;
}

std::string report_json(const SuiteReport& report) {
  std::string json = "{\"conforms\":";
  json += report.conforms() ? "true" : "false";
  json += ",\"checks\":[";
  for (const CheckResult& result : report.results) {
    if (&result != &report.results.front()) json += ",";
    json += "\n{\"id\":" + json_string(result.check->id) +
            ",\"verdict\":" + json_string(lower_case(name_of(result.finding.verdict))) +
            ",\"severity\":" + json_string(name_of(result.check->severity)) +
            ",\"demand\":" + json_string(result.check->demand) +
            ",\"source\":" + json_string(result.check->source) +
            ",\"expected\":" + json_string(result.finding.expected) +
            ",\"seen\":" + json_string(result.finding.seen) + "}";
  }
  json += "\n],\"not_checked\":[";
  const auto& unseen = unseen_properties();
  for (size_t i = 0; i < unseen.size(); ++i)
    json += (i > 0 ? ",\n" : "\n") + json_string(unseen[i]);
  return json + "\n]}\n";
}

std::string report_junit(const SuiteReport& report) {
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"epp-conformance\" tests=\"" +
      std::to_string(report.results.size()) + "\" failures=\"" +
      std::to_string(report.count(CheckVerdict::kFail)) + "\" skipped=\"" +
      std::to_string(report.count(CheckVerdict::kSkip)) + "\">\n";
  for (const CheckResult& result : report.results) {
    const Finding& finding = result.finding;
    text += "  <testcase classname=\"" + std::string(name_of(result.check->severity)) +
            "\" name=\"" + xml(result.check->id) + "\">";
    if (finding.verdict == CheckVerdict::kFail) {
      text += "<failure message=\"" + xml(result.check->demand) +
              "\">expected: " + xml(finding.expected) + "; seen: " + xml(finding.seen) +
              "</failure>";
    } else if (finding.verdict == CheckVerdict::kSkip) {
      text += "<skipped message=\"" + xml(finding.seen) + "\"/>";
    }
    text += "</testcase>\n";
  }
  return text + "</testsuite>\n";
}

std::string list_text(const std::vector<const Check*>& checks) {
  std::string text;
  for (const Check* check : checks) {
    text += padded(check->id, kIdColumns) + padded(name_of(check->severity), kSeverityColumns) +
            check->demand + " [" + check->source + "]\n";
  }
  return text;
}

}  // namespace kvasir
