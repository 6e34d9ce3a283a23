// The commands that documents show are pasted into a shell, and print what stands behind them.
//
// A block that is fenced with ```sh is pasted: all of a document into one bash, in their order. A
// block that is fenced with ```text behind it is what it prints; "..." in it stands for any text of
// that line. Ports (":8080", "--port 8001") are others here, so that documents may name those that
// programs have by default.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "leased_port.h"

namespace kvasir {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);  // with one block
constexpr Duration kPause = std::chrono::milliseconds(100);
constexpr char kOver[] = "THIS-BLOCK-IS-OVER";

std::string path_of(const std::string& name) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return std::string(root != nullptr ? root : ".") + "/" + name;
}

std::string text_of_document(const std::string& name) {
  const std::ifstream file(path_of(name));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Block {
  size_t line = 0;
  std::string commands;
  std::optional<std::string> prints;
};

std::vector<Block> pasted_blocks(const std::string& document) {
  std::vector<Block> blocks;
  std::string fence;
  std::string content;
  std::istringstream lines(document);
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    if (line.rfind("```", 0) != 0) {
      if (!fence.empty()) content += line + "\n";
    } else if (fence.empty()) {
      fence = line;
      content.clear();
    } else {
      if (fence == "```sh") blocks.push_back({number, content, {}});
      if (fence == "```text" && !blocks.empty()) blocks.back().prints = content;
      fence.clear();
    }
  }
  return blocks;
}

// The ports of a document, and those that its programs have here.
class Ports {
 public:
  std::string here(const std::string& commands) {
    static const std::regex port(R"((:|port )([0-9]{4,5})\b)");
    std::string text;
    std::smatch found;
    std::string rest = commands;
    while (std::regex_search(rest, found, port)) {
      text += found.prefix().str() + found[1].str() + of(found[2]);
      rest = found.suffix();
    }
    return text + rest;
  }
  std::string as_documented(std::string printed) const {
    for (const auto& [documented, here] : ports_) {
      printed = std::regex_replace(printed, std::regex("\\b" + here + "\\b"), documented);
    }
    return printed;
  }

 private:
  const std::string& of(const std::string& documented) {
    const auto [port, is_new] = ports_.try_emplace(documented);
    if (is_new) port->second = std::to_string(leased_port());
    return port->second;
  }

  std::map<std::string, std::string> ports_;
};

// A bash in an empty folder that has the program as build/release/kvasir, as the repository does.
class Shell {
 public:
  Shell() {
    folder_ = (std::filesystem::temp_directory_path() / "documents-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    std::filesystem::create_directories(folder_ + "/build/release");
    std::filesystem::create_symlink(std::filesystem::absolute(std::getenv("KVASIR_BINARY")),
                                    folder_ + "/build/release/kvasir");
    int input[2], output[2];
    EXPECT_EQ(pipe(input) + pipe(output), 0);
    pid_ = fork();
    if (pid_ == 0) {
      setpgid(0, 0);
      dup2(input[0], STDIN_FILENO);
      dup2(output[1], STDOUT_FILENO);
      dup2(output[1], STDERR_FILENO);
      for (const int end : {input[0], input[1], output[0], output[1]}) close(end);
      if (chdir(folder_.c_str()) == 0) execlp("bash", "bash", "--norc", nullptr);
      _exit(126);
    }
    setpgid(pid_, pid_);
    close(input[0]);
    close(output[1]);
    in_ = input[1];
    out_ = output[0];
  }
  ~Shell() {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(in_);
    close(out_);
    std::filesystem::remove_all(folder_);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  // What it prints until the commands are over.
  std::string paste(const std::string& commands) {
    const std::string all = commands + "echo " + kOver + "\n";
    EXPECT_EQ(write(in_, all.data(), all.size()), static_cast<ssize_t>(all.size()));
    std::string printed;
    pollfd readable = {out_, POLLIN, 0};
    const TimePoint end = SteadyClock().now() + kPatience;
    while (printed.find(kOver) == std::string::npos && SteadyClock().now() < end) {
      if (poll(&readable, 1, 1000) <= 0) continue;
      char bytes[4096];
      const ssize_t size = read(out_, bytes, sizeof bytes);
      if (size <= 0) break;
      for (const char byte : std::string_view(bytes, static_cast<size_t>(size))) {
        if (byte != '\r') printed.push_back(byte);  // at the ends of HTTP fields
      }
    }
    return printed.substr(0, printed.find(kOver));
  }
  std::string logs() const {
    std::ostringstream text;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() != ".log") continue;
      text << entry.path().filename() << ":\n" << std::ifstream(entry.path()).rdbuf();
    }
    return text.str();
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

std::string without_end_of_space(const std::string& text) {
  return text.substr(0, text.find_last_not_of(" \n") + 1);
}

bool is_printed(const std::string& printed, const std::string& documented) {
  static const std::regex special(R"([.^$|()\[\]{}*+?\\])");
  static const std::regex anything(R"(\\\.\\\.\\\.)");
  const std::string quoted =
      std::regex_replace(without_end_of_space(documented), special, R"(\$&)");
  return std::regex_match(without_end_of_space(printed),
                          std::regex(std::regex_replace(quoted, anything, ".*")));
}

// Programs that were started take a moment until they answer, and events one until they came: who
// asks too early asks again.
void paste_document(const std::string& name, size_t blocks_least) {
  const std::vector<Block> blocks = pasted_blocks(text_of_document(name));
  EXPECT_GE(blocks.size(), blocks_least) << name;
  Ports ports;
  Shell shell;
  for (const Block& block : blocks) {
    const std::string commands = ports.here(block.commands);
    const std::string wanted = block.prints.value_or("");
    const bool starts = commands.find("&\n") != std::string::npos;
    const TimePoint end = SteadyClock().now() + kPatience;
    std::string printed = ports.as_documented(shell.paste(commands));
    while (!is_printed(printed, wanted) && !starts && SteadyClock().now() < end) {
      std::this_thread::sleep_for(kPause);
      printed = ports.as_documented(shell.paste(commands));
    }
    ASSERT_TRUE(is_printed(printed, wanted))
        << name << ", the block that ends in line " << block.line << ":\n"
        << commands << "prints\n"
        << printed << "and not\n"
        << wanted << shell.logs();
  }
}

TEST(Documents, WhatTheKvPageShowsIsPrinted) {
  paste_document("docs/KV.md", 15);
}

// Nobody can look it up here.
TEST(Documents, APageThatSpeaksOfTheTutorialSaysWhichItIs) {
  std::vector<std::string> pages = {"README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(path_of("docs"))) {
    pages.push_back("docs/" + entry.path().filename().string());
  }
  EXPECT_GT(pages.size(), 10u);
  for (const std::string& page : pages) {
    const std::string text = text_of_document(page);
    if (text.find("he tutorial") == std::string::npos) continue;
    EXPECT_NE(text.find("llm_d_inference_service"), std::string::npos) << page;
  }
}

TEST(Documents, WhatTheGatewayPageShowsIsPrinted) {
  paste_document("docs/GATEWAY.md", 2);
}

TEST(Documents, WhatTheTenantsPageShowsIsPrinted) {
  paste_document("docs/TENANTS.md", 5);
}

TEST(Documents, WhatTheReadmeShowsIsPrinted) {
  paste_document("README.md", 2);
}

}  // namespace
}  // namespace kvasir
