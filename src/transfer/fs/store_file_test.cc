#include "transfer/fs/store_file.h"

#include <gtest/gtest.h>

#include <array>

#include "transfer/connector_side_fixture.h"

namespace kvasir {
namespace {

TEST(NewStoreFiles, ManyFilesOfManyPiecesAreThereWhenTheyAreFinished) {
  const TestFolder folder;
  const std::string piece = "a piece of a file";
  const std::vector<std::span<const std::byte>> pieces(1000, bytes_of(piece));
  const auto path = [&](size_t i) { return folder.path() + "/" + std::to_string(i); };
  constexpr size_t kFiles = 12;
  {
    NewStoreFiles files;
    for (size_t i = 0; i < kFiles; ++i) ASSERT_TRUE(files.write(path(i), pieces));
    ASSERT_TRUE(files.finish());
  }
  for (size_t i = 0; i < kFiles; ++i) {
    const Result<StoreFile> file = StoreFile::open(path(i));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_EQ(file->size(), pieces.size() * piece.size());
    EXPECT_EQ(file->read(file->size() - piece.size(), piece.size()).value(), piece);
  }
}

TEST(NewStoreFiles, AfterAnErrorNoneIsThereButWhatWasThereBefore) {
  const TestFolder folder;
  const std::array<std::span<const std::byte>, 1> pieces = {bytes_of("text")};
  {
    NewStoreFiles files;
    ASSERT_TRUE(files.write(folder.path() + "/old", pieces));
    ASSERT_TRUE(files.finish());
  }
  {
    NewStoreFiles files;
    ASSERT_TRUE(files.write(folder.path() + "/new", pieces));
    EXPECT_FALSE(files.write(folder.path() + "/old", pieces));
  }
  EXPECT_EQ(list_folder(folder.path(), 9).value(), std::vector<std::string>{"old"});
}

}  // namespace
}  // namespace kvasir
