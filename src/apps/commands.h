// The subcommands of the binary. Each function adds one to `app`; when it is chosen, it runs and leaves the
// process's exit code in `exit_code`: 0 done, 1 it failed (one clear line on standard error says why), 2 the
// command line or the configuration is wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace kvasir {

// The one clear line: "kvasir COMMAND: MESSAGE". Returns `exit_code`.
int fail_command(std::string_view command, int exit_code, std::string_view message);

void add_worker_command(CLI::App& app, int& exit_code);
// `kvasir worker` with what follows it on the command line: it is vLLM's, which no CLI::App reads. The
// exit code.
int run_worker_command(const std::vector<std::string>& arguments);
void add_gateway_command(CLI::App& app, int& exit_code);
void add_epp_command(CLI::App& app, int& exit_code);
void add_up_command(CLI::App& app, int& exit_code);
void add_bench_command(CLI::App& app, int& exit_code);
void add_config_command(CLI::App& app, int& exit_code);
void add_kube_command(CLI::App& app, int& exit_code);
// Below it.
void add_kube_apply_command(CLI::App& kube, int& exit_code);
void add_conformance_command(CLI::App& app, int& exit_code);
void add_kv_cache_manager_command(CLI::App& app, int& exit_code);
void add_kv_command(CLI::App& app, int& exit_code);
void add_sidecar_command(CLI::App& app, int& exit_code);
void add_pd_proxy_command(CLI::App& app, int& exit_code);
void add_routes_command(CLI::App& app, int& exit_code);
void add_controller_command(CLI::App& app, int& exit_code);
void add_keys_command(CLI::App& app, int& exit_code);

}  // namespace kvasir
