#include "kube/kube_config.h"

#include <sys/stat.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <variant>

#include "base/text.h"
#include "base/whole_file.h"
#include "kube/kubeconfig_fields.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

constexpr size_t kKubeconfigBytesMax = kYamlBytesMost;
constexpr size_t kKubeconfigValuesMax = 200'000;  // people keep hundreds of clusters in one
constexpr uint16_t kHttpsPort = 443;
constexpr uint16_t kHttpPort = 80;

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool is_https(std::string_view url) {
  return equal_ignoring_case(url.substr(0, 8), "https://");
}

// "https://HOST[:PORT][/PREFIX]". Without a scheme as client-go: https when anything is said of
// TLS.
bool set_server(std::string_view url, bool tls_by_default, KubeConfig& config) {
  config.tls = is_https(url) || (url.find("://") == std::string_view::npos && tls_by_default);
  if (is_https(url)) {
    url.remove_prefix(8);
  } else if (equal_ignoring_case(url.substr(0, 7), "http://")) {
    url.remove_prefix(7);
  }
  if (!consists_of(url, letters_digits_and("-._~:/[]%"))) return false;
  const size_t slash = std::min(url.find('/'), url.size());
  config.path_prefix = trimmed(url.substr(slash), "/");
  if (!config.path_prefix.empty()) config.path_prefix.insert(0, "/");
  std::string_view origin = url.substr(0, slash);
  config.server.port = config.tls ? kHttpsPort : kHttpPort;
  const size_t colon = origin.rfind(':');
  const size_t bracket = origin.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) {
    const std::optional<uint16_t> port = port_of(origin.substr(colon + 1));
    if (!port) return false;
    config.server.port = *port;
    origin = origin.substr(0, colon);
  }
  if (bracket != std::string_view::npos) {
    if (origin.front() != '[' || origin.back() != ']') return false;
    origin = origin.substr(1, origin.size() - 2);
  }
  config.server.host = origin;
  return !origin.empty() && origin.find_first_of("[]/%") == std::string_view::npos &&
         (bracket != std::string_view::npos || origin.find(':') == std::string_view::npos);
}

// One of two keys: the text itself, which counts when both are there, or the name of a file.
void read_pem(const KubeconfigFields& fields, const std::string& key, std::string& file,
              std::string& data) {
  data = fields.base64(key + "-data");
  file = fields.file(key);
  if (!data.empty()) file.clear();
}

void read_cluster(const KubeconfigFields& fields, KubeConfig& config) {
  fields.refuse("proxy-url",
                "proxies are not supported: reach the API server directly, or through a tunnel "
                "on this machine");
  read_pem(fields, "certificate-authority", config.ca_file, config.ca_data);
  config.tls_server_name = fields.text("tls-server-name");
  config.check_server = !fields.flag("insecure-skip-tls-verify");
  const bool has_ca = !config.ca_file.empty() || !config.ca_data.empty();
  if (!config.check_server && has_ca) {
    fields.fail("insecure-skip-tls-verify",
                "a certificate-authority is given too: remove one of the two");
  }
  const std::string url = fields.required_text("server");
  if (!url.empty() && !set_server(url, has_ca || !config.check_server, config)) {
    fields.fail("server", "must be like https://HOST:PORT");
  }
  config.exec_cluster_json = fields.extension_json("client.authentication.k8s.io/exec");
}

void read_exec(const KubeconfigFields& fields, KubeConfig& config) {
  ExecCredential exec;
  exec.api_version = fields.required_text("apiVersion");
  if (!exec.api_version.empty() && exec.api_version != "client.authentication.k8s.io/v1" &&
      exec.api_version != "client.authentication.k8s.io/v1beta1") {
    fields.fail("apiVersion",
                "must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
  }
  fields.required_text("command");
  exec.command = fields.command("command");
  exec.arguments = fields.texts("args");
  exec.environment = fields.pairs("env");
  exec.install_hint = fields.text("installHint");
  exec.provide_cluster_info = fields.flag("provideClusterInfo");
  if (fields.text("interactiveMode") == "Always") {
    fields.fail("interactiveMode", "Always: there is nobody to ask here; use IfAvailable or Never");
  }
  config.exec.push_back(std::move(exec));
}

void read_user(const KubeconfigFields& fields, KubeConfig& config) {
  fields.refuse("auth-provider", "was removed from Kubernetes in 1.26: use exec");
  for (const char* key : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    fields.refuse(key, "acting as somebody else is not supported: use that user's credentials");
  }
  read_pem(fields, "client-certificate", config.certificate_file, config.certificate_data);
  read_pem(fields, "client-key", config.key_file, config.key_data);
  const bool certificate = !config.certificate_file.empty() || !config.certificate_data.empty();
  const bool key = !config.key_file.empty() || !config.key_data.empty();
  if (certificate && !key) fields.fail("client-key", "is missing, but client-certificate is there");
  if (key && !certificate) fields.fail("client-certificate", "is missing, but client-key is there");
  config.token_file = fields.file("tokenFile");
  config.token = fields.text("token");
  config.user_name = fields.text("username");
  config.password = fields.text("password");
  const bool token = !config.token_file.empty() || !config.token.empty();
  const bool exec = fields.has("exec");
  if (token + !config.user_name.empty() + exec > 1) {
    fields.fail("", "says more than one of token, username and exec: keep one");
  }
  if (exec) read_exec(fields.inside("exec"), config);
}

Result<KubeconfigFiles> parse_files(const std::vector<KubeconfigText>& files) {
  KubeconfigFiles parsed;
  for (const KubeconfigText& file : files) {
    auto document = parse_yaml(file.text, 0, {kKubeconfigBytesMax, kKubeconfigValuesMax});
    if (const Remark* problem = std::get_if<Remark>(&document)) {
      // Remarks on one scalar quote it, and it may be a token.
      const bool plain = problem->text.starts_with("not YAML") ||
                         problem->text.starts_with("a zero byte") || problem->line == 0;
      return Error{file.name + ": " +
                   to_string(plain ? *problem
                                   : Remark{problem->line,
                                            "cannot be read; a text that looks like a number "
                                            "needs quotes, and a key appears once in its map"})};
    }
    parsed.add({file.name, file.folder, std::get<Value>(std::move(document))});
  }
  return parsed;
}

Result<std::vector<KubeconfigText>> read_files(const std::vector<std::string>& paths) {
  std::vector<KubeconfigText> files;
  for (const std::string& path : paths) {
    Result<std::string> text = read_whole_file(path, kKubeconfigBytesMax);
    if (!text) return text.error();
    const size_t slash = path.rfind('/');
    files.push_back(
        {path, slash == std::string::npos ? "." : path.substr(0, slash), std::move(*text)});
  }
  return files;
}

Result<KubeConfig> read_kubeconfigs(const std::vector<std::string>& paths,
                                    const std::string& context) {
  const Result<std::vector<KubeconfigText>> files = read_files(paths);
  if (!files) return files.error();
  return parse_kubeconfig(*files, context);
}

bool exists(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0;
}

std::vector<std::string> split_paths(const std::string& list) {
  std::vector<std::string> paths;
  for (size_t at = 0; at <= list.size();) {
    const size_t colon = std::min(list.find(':', at), list.size());
    if (colon > at) paths.push_back(list.substr(at, colon - at));
    at = colon + 1;
  }
  return paths;
}

Result<KubeConfig> from_environment(const std::string& list) {
  std::vector<std::string> paths = split_paths(list);
  std::erase_if(paths, [](const std::string& path) { return !exists(path); });
  if (paths.empty()) {
    return Error{"no file of $KUBECONFIG (" + list + ") exists: correct it, or unset it"};
  }
  return read_kubeconfigs(paths, {});
}

}  // namespace

std::string server_url(const KubeConfig& config) {
  return (config.tls ? "https://" : "http://") + to_string(config.server) + config.path_prefix;
}

bool is_in_cluster() {
  return !environment_value("KUBERNETES_SERVICE_HOST").empty() &&
         !environment_value("KUBERNETES_SERVICE_PORT").empty();
}

Result<KubeConfig> in_cluster_config(const std::string& folder) {
  if (!is_in_cluster()) {
    return Error{
        "in-cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
        "this is not a pod"};
  }
  KubeConfig config;
  const std::string port_text = environment_value("KUBERNETES_SERVICE_PORT");
  const std::optional<uint16_t> port = port_of(port_text);
  if (!port) return Error{"KUBERNETES_SERVICE_PORT must be a port, not \"" + port_text + "\""};
  config.server = {environment_value("KUBERNETES_SERVICE_HOST"), *port};
  config.ca_file = folder + "/ca.crt";
  config.token_file = folder + "/token";
  config.source = "in-cluster";
  for (const std::string& file : {config.token_file, config.ca_file}) {
    const Result<void> there = check_regular_file(file);
    if (!there) {
      return Error{"in-cluster: " + there.error().message +
                   " (does the pod set automountServiceAccountToken: false?)"};
    }
  }
  const Result<std::string> name_space = read_whole_file(folder + "/namespace", 1024);
  if (name_space && !trimmed(*name_space, kJsonSpace).empty()) {
    config.name_space = trimmed(*name_space, kJsonSpace);
  }
  return config;
}

Result<KubeConfig> parse_kubeconfig(const std::vector<KubeconfigText>& files,
                                    const std::string& context) {
  const Result<KubeconfigFiles> parsed = parse_files(files);
  if (!parsed) return parsed.error();
  const std::string chosen = context.empty() ? parsed->current_context() : context;
  if (chosen.empty()) {
    return Error{parsed->names() + ": no current-context is set (kubectl config use-context); " +
                 parsed->choices("contexts")};
  }
  KubeConfig config;
  std::optional<Error> problem;
  KubeconfigFields place = parsed->entry("contexts", "context", chosen, problem);
  const std::string cluster = place.required_text("cluster");
  const std::string user = place.text("user");
  const std::string name_space = place.text("namespace");
  if (!name_space.empty()) config.name_space = name_space;
  if (!problem) read_cluster(parsed->entry("clusters", "cluster", cluster, problem), config);
  if (!problem && !user.empty()) read_user(parsed->entry("users", "user", user, problem), config);
  if (problem) return *problem;
  config.source = parsed->names() + " (context " + chosen + ")";
  return config;
}

Result<KubeConfig> read_kubeconfig(const std::string& path, const std::string& context) {
  return read_kubeconfigs({path}, context);
}

Result<KubeConfig> find_kube_config(const std::string& kubeconfig_flag) {
  if (!kubeconfig_flag.empty()) return read_kubeconfig(kubeconfig_flag);
  const std::string list = environment_value("KUBECONFIG");
  if (!list.empty()) return from_environment(list);
  std::string tried =
      "no API server is known; tried --kubeconfig (not given), $KUBECONFIG (not "
      "set), ";
  if (is_in_cluster()) {
    Result<KubeConfig> inside = in_cluster_config();
    if (inside) return inside;
    tried += inside.error().message;
  } else {
    tried += "in-cluster (KUBERNETES_SERVICE_HOST is not set)";
  }
  const std::string home = environment_value("HOME") + "/.kube/config";
  if (exists(home)) return read_kubeconfig(home);
  return Error{tried + ", " + home + " (does not exist)"};
}

}  // namespace kvasir
