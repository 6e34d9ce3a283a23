#include "bench/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

class OutputFile : public ::testing::Test {
 protected:
  OutputFile() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~OutputFile() override { std::filesystem::remove_all(directory_); }

  static std::string problem_of(const std::string& path) {
    const Result<void> checked = check_output_file(path);
    return checked ? "" : checked.error().message;
  }

  const std::string directory_ = ::testing::TempDir() + "kvasir_output_" +
                                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(OutputFile, WhatCanBeWrittenIsLeftAsItIs) {
  const std::string old = directory_ + "/old";
  std::ofstream(old) << "earlier results";
  EXPECT_EQ(problem_of(old), "");
  EXPECT_EQ(std::filesystem::file_size(old), 15u);
  EXPECT_EQ(problem_of(directory_ + "/new"), "");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/new"));
  EXPECT_EQ(problem_of("/dev/null"), "");
}

TEST_F(OutputFile, WhatCannotBeWrittenIsToldAtOnce) {
  EXPECT_EQ(problem_of(directory_ + "/none/x"),
            directory_ + "/none/x: cannot write it: No such file or directory");
  EXPECT_THAT(problem_of(directory_), HasSubstr("it is a directory"));
  EXPECT_THAT(problem_of(directory_ + "/"), HasSubstr("it is a directory"));
  EXPECT_THAT(problem_of(""), HasSubstr("cannot write it"));
}

TEST_F(OutputFile, APipeWithoutAReaderIsRefusedWithoutWaiting) {
  const std::string pipe = directory_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(problem_of(pipe),
            pipe + ": cannot write it: it is neither a regular file nor /dev/null nor /dev/stdout");
}

}  // namespace
}  // namespace kvasir
