#include "tokens/model_tokenizers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tokens/tokenizer_json.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

class ModelTokenizersTest : public testing::Test {
 protected:
  ModelTokenizersTest() : folder_(fs::path(testing::TempDir()) / "model_tokenizers_test") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void add(const std::string& model) {
    ASSERT_TRUE(write_tokenizer((folder_ / model).string()).ok());
  }
  std::string problem() const {
    const auto loaded = ModelTokenizers::load(folder_.string());
    return loaded.ok() ? "" : loaded.error().message;
  }

  const fs::path folder_;
};

TEST_F(ModelTokenizersTest, AFileIsForEveryModel) {
  add("");
  for (const fs::path& path : {folder_, folder_ / "tokenizer.json"}) {
    const auto loaded = ModelTokenizers::load(path.string());
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_NE(loaded.value()->find("any/model"), nullptr);
    EXPECT_EQ(loaded.value()->size(), 1u);
  }
}

TEST_F(ModelTokenizersTest, FoldersNameTheirModels) {
  add("plain");
  add("owner/model");
  const auto loaded = ModelTokenizers::load(folder_.string());
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_NE(loaded.value()->find("plain"), nullptr);
  EXPECT_NE(loaded.value()->find("owner/model"), nullptr);
  EXPECT_EQ(loaded.value()->find("model"), nullptr);
  EXPECT_EQ(loaded.value()->find("owner"), nullptr);
}

TEST_F(ModelTokenizersTest, SaysWhichFileIsNoTokenizer) {
  EXPECT_NE(problem().find("neither tokenizer.json nor MODEL/tokenizer.json"), std::string::npos);
  fs::create_directories(folder_ / "m");
  std::ofstream(folder_ / "m" / "tokenizer.json") << "{}";
  EXPECT_NE(problem().find("m/tokenizer.json: \"model\" is missing"), std::string::npos)
      << problem();
  EXPECT_FALSE(ModelTokenizers::load((folder_ / "nothing").string()).ok());
}

}  // namespace
}  // namespace kvasir
