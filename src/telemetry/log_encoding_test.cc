#include "telemetry/log_encoding.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

std::string line(LogEncoding encoding, std::string_view message) {
  std::string out;
  append_log_line(encoding, {"2026-01-02T03:04:05.006Z", "info", "epp", message}, out);
  return out;
}

TEST(LogEncoding, LinesAreForPeopleOrForMachines) {
  EXPECT_EQ(line(LogEncoding::kText, "a is healthy"),
            "2026-01-02T03:04:05.006Z info epp: a is healthy\n");
  EXPECT_EQ(line(LogEncoding::kJson, "a is healthy"),
            "{\"level\":\"info\",\"ts\":\"2026-01-02T03:04:05.006Z\",\"logger\":\"epp\","
            "\"msg\":\"a is healthy\"}\n");
}

TEST(LogEncoding, JsonIsOneLineThatParsesWhateverTheMessageIs) {
  const struct {
    std::string message, text;
  } cases[] = {
      {"a \"b\" \\c", "a \\\"b\\\" \\\\c"},
      {"two\nlines\t\x01\x7f", "two\\u000alines\\u0009\\u0001\\u007f"},
      {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
      {"\xff \xc3", "\xef\xbf\xbd \xef\xbf\xbd"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (const auto& [message, text] : cases) {
    const std::string written = line(LogEncoding::kJson, message);
    EXPECT_NE(written.find("\"msg\":\"" + text + "\"}\n"), std::string::npos) << written;
    EXPECT_EQ(written.find('\n'), written.size() - 1);
  }
}

}  // namespace
}  // namespace kvasir
