// Where the API server is and who we are there: from inside a pod, or from a kubeconfig.
//
// Sources: kubernetes.io "Accessing the Kubernetes API from a Pod"; client-go's clientcmd/api/v1
// for the file's fields.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

// A program that says the token, as `users[].user.exec` has it.
struct ExecCredential {
  std::string api_version;  // client.authentication.k8s.io/v1 or v1beta1
  std::string command;      // with a slash: seen from the kubeconfig's folder
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
  // Of these the first that is set: a file that is read again as it rotates, a fixed token, a
  // program.
  std::string token_file;
  std::string token;
  std::string user_name;  // basic authentication
  std::string password;
  std::string exec_cluster_json;       // what provideClusterInfo hands to the program
  std::vector<ExecCredential> exec;    // none or one
  std::string name_space = "default";  // where we are, or the context's
  std::string source;  // for people: "in-cluster", "/root/.kube/config (context kind)"
};

// Reads KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and `folder`/{token,ca.crt,namespace}.
inline constexpr std::string_view kServiceAccountFolder =
    "/var/run/secrets/kubernetes.io/serviceaccount";
Result<KubeConfig> in_cluster_config(
    const std::string& folder = std::string(kServiceAccountFolder));
bool is_in_cluster();

// `context`: empty for the current one. Relative file names are seen from the file's folder.
Result<KubeConfig> read_kubeconfig(const std::string& path, const std::string& context = {});

// As upstream's picker and kubectl look: the flag, else $KUBECONFIG (its first file that exists),
// else in-cluster, else
// ~/.kube/config. The Error names all that was tried.
Result<KubeConfig> find_kube_config(const std::string& kubeconfig_flag);

}  // namespace kvasir
