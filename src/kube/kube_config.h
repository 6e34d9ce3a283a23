// Where the API server is and who we are there: from inside a pod, or from a kubeconfig.
//
// Sources: kubernetes.io "Accessing the Kubernetes API from a Pod"; client-go's clientcmd/api/v1
// for the file's fields. No Error holds what a file says of tokens, passwords or keys.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

// A program that says the token, as `users[].user.exec` has it.
struct ExecCredential {
  std::string api_version;  // client.authentication.k8s.io/v1 or v1beta1
  std::string command;      // a path, or a name that is looked for in $PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string install_hint;
  bool provide_cluster_info = false;
};

struct KubeConfig {
  HostPort server;
  bool tls = true;
  std::string path_prefix;      // behind the host in the server's URL; most often empty
  std::string tls_server_name;  // empty: the server's host
  bool check_server = true;     // false: insecure-skip-tls-verify
  // PEM. Text that the file holds itself, or the file's name: exactly one is set, or none (the
  // system's CAs).
  std::string ca_file;
  std::string ca_data;
  std::string certificate_file;  // of the client, with its key
  std::string certificate_data;
  std::string key_file;
  std::string key_data;
  // Of these the first that is set: a file that is read again as it rotates, a fixed token, a name
  // and password, a program.
  std::string token_file;
  std::string token;
  std::string user_name;
  std::string password;
  std::vector<ExecCredential> exec;    // none or one
  std::string exec_cluster_json;       // what the cluster's extension says to the program
  std::string name_space = "default";  // where we are, or the context's
  std::string source;  // for people: "in-cluster", "/root/.kube/config (context kind)"
};

// "https://HOST:PORT/PREFIX".
std::string server_url(const KubeConfig& config);

// Reads KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and `folder`/{token,ca.crt,namespace}.
inline constexpr std::string_view kServiceAccountFolder =
    "/var/run/secrets/kubernetes.io/serviceaccount";
Result<KubeConfig> in_cluster_config(
    const std::string& folder = std::string(kServiceAccountFolder));
bool is_in_cluster();

// The text of a kubeconfig, and where it came from.
struct KubeconfigText {
  std::string name;    // of the file, for people
  std::string folder;  // relative file names in it are seen from here
  std::string text;
};

// `context`: empty for the current one. Several files count as one in which each cluster, user and
// context, whole, is the one of the first file that has its name, and so is current-context.
Result<KubeConfig> parse_kubeconfig(const std::vector<KubeconfigText>& files,
                                    const std::string& context = {});
Result<KubeConfig> read_kubeconfig(const std::string& path, const std::string& context = {});

// As upstream's picker and kubectl look: the flag, else $KUBECONFIG (files with colons between
// them; those that do not exist are skipped), else in-cluster, else ~/.kube/config. The Error names
// all that was tried.
Result<KubeConfig> find_kube_config(const std::string& kubeconfig_flag);

}  // namespace kvasir
