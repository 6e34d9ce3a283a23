#!/usr/bin/env bash
# Builds what tests/kube runs on, from the Go module proxy, into a folder outside the tree:
#
#   tests/kube/build_binaries.sh [NAME...]     all of them, or these
#
# The folder is $KVASIR_KUBE, or ~/.cache/kvasir-kube/1.34.2; programs are in its bin/. What is there in the right
# version is not built again. Needs Go 1.24 or newer and, with nothing in Go's caches, 10 to 25 minutes of two cores,
# 14 GB of disk for those caches and 1 GB for the programs.
set -euo pipefail

KUBERNETES=1.34.2
folder=${KVASIR_KUBE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvasir-kube/$KUBERNETES}
jobs=${JOBS:-2}

# What the API server alone needs comes first, then a node's programs, then what few cases use.
names=(etcd kube-apiserver kubectl kube-controller-manager kube-scheduler kwok kubelet kube-proxy coredns helm metrics-server)
declare -A others=(
  [etcd]="go.etcd.io/etcd/server/v3 v3.6.4 ."
  [kwok]="sigs.k8s.io/kwok v0.7.0 cmd/kwok"
  [coredns]="github.com/coredns/coredns v1.12.4 ."
  [helm]="helm.sh/helm/v3 v3.19.0 cmd/helm"
  [metrics-server]="sigs.k8s.io/metrics-server v0.8.0 cmd/metrics-server"
)

go=$(command -v go || echo /usr/local/go/bin/go)
[ -x "$go" ] || { echo "there is no Go: install it, or put it into the PATH" >&2; exit 1; }
export CGO_ENABLED=0 GOFLAGS="-mod=mod -trimpath -buildvcs=false"
mkdir -p "$folder"/{bin,built}
exec 9>"$folder/lock"
flock -n 9 || { echo "waiting for another build in $folder"; flock 9; }

# Kubernetes' own modules have no versions in its go.mod: each v1.A.B stands for v0.A.B of them.
kubernetes_module() {
  local file own
  file=$("$go" mod download -json "k8s.io/kubernetes@v$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  own=$(awk '$1 ~ /^k8s\.io\// && $2 == "v0.0.0" { print $1 }' "$file" | sort -u)
  printf 'module built\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\n' "$KUBERNETES"
  for module in $own; do echo "replace $module => $module v0.${KUBERNETES#1.}"; done
}

build_kubernetes() {  # NAME
  local version=k8s.io/component-base/version
  local flags="-s -w -X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=34"
  flags+=" -X $version.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=v$KUBERNETES"
  mkdir -p "$folder/build/kubernetes" && cd "$folder/build/kubernetes"
  [ -f go.mod ] || { kubernetes_module > go.mod.new && mv go.mod.new go.mod; }
  "$go" build -p "$jobs" -ldflags "$flags" -o "$folder/bin/$1" "k8s.io/kubernetes/cmd/$1"
}

build_other() {  # NAME MODULE VERSION PACKAGE
  mkdir -p "$folder/build/$1" && cd "$folder/build/$1"
  printf 'module built\n\ngo 1.24.0\n\nrequire %s %s\n' "$2" "$3" > go.mod
  "$go" build -p "$jobs" -ldflags "-s -w" -o "$folder/bin/$1" "$2${4:+/$4}"
}

for name in "${@:-${names[@]}}"; do
  case " ${names[*]} " in *" $name "*) ;; *) echo "there is no '$name'; there are: ${names[*]}" >&2; exit 1 ;; esac
  read -r module version package <<< "${others[$name]:-k8s.io/kubernetes v$KUBERNETES}"
  if [ -x "$folder/bin/$name" ] && [ "$(cat "$folder/built/$name" 2>/dev/null)" = "$version" ]; then
    echo "$name $version is there"
    continue
  fi
  echo "building $name $version ..."
  began=$SECONDS
  if [ "$module" = k8s.io/kubernetes ]; then
    (build_kubernetes "$name")
  else
    (build_other "$name" "$module" "$version" "${package#.}")
  fi
  echo "$version" > "$folder/built/$name"
  echo "$name $version: $((SECONDS - began)) s, $(($(stat -c %s "$folder/bin/$name") / 1000000)) MB"
done
