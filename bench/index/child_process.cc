#include "index/child_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace kvasir {
namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "index_bench: %s\n", what);
  std::exit(1);
}

void write_all(int descriptor, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(descriptor, text.data() + done, text.size() - done);
    if (wrote <= 0) _exit(1);
    done += static_cast<size_t>(wrote);
  }
}

}  // namespace

nlohmann::json in_child(const std::function<nlohmann::json()>& measure) {
  int ends[2];
  if (pipe(ends) != 0) fail("cannot make a pipe");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    close(ends[0]);
    write_all(ends[1], measure().dump());
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[1 << 16];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("a measuring process failed");
  return nlohmann::json::parse(text);
}

uint64_t private_bytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    uint64_t kib = 0;
    if (word == "Private_Dirty:" && file >> kib) return kib * 1024;
  }
  fail("/proc/self/smaps_rollup does not tell Private_Dirty");
}

}  // namespace kvasir
