#include "apps/standard_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::string problem_of(const std::string& stream_path, const std::string& stream_text,
                       const std::string& file_path, const std::string& file_text) {
  std::ofstream stream(stream_path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(file_path.c_str(), "w"),
                                                             std::fclose);
  stream << stream_text;
  std::fputs(file_text.c_str(), file.get());
  const Result<void> flushed = flush_output(stream, file.get());
  return flushed ? "" : flushed.error().message;
}

TEST(StandardOutput, IsLostOnAFullDiskHoweverItIsWritten) {
  const std::string longer_than_buffers(1'000'000, 'x');
  EXPECT_EQ(problem_of("/dev/null", "few", "/dev/null", longer_than_buffers), "");
  EXPECT_EQ(problem_of("/dev/full", "", "/dev/full", ""), "");
  for (const std::string& text : {std::string("few"), longer_than_buffers}) {
    EXPECT_THAT(problem_of("/dev/full", text, "/dev/null", ""),
                HasSubstr("cannot write to standard output"));
    EXPECT_THAT(problem_of("/dev/null", "", "/dev/full", text),
                HasSubstr("cannot write to standard output"));
  }
  EXPECT_THAT(problem_of("/dev/null", "", "/dev/full", "few"),
              HasSubstr("No space left on device"));
}

}  // namespace
}  // namespace kvasir
