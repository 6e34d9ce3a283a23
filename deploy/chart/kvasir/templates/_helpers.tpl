{{- define "kvasir.base" -}}{{ .Release.Name | lower | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- define "kvasir.epp" -}}{{ include "kvasir.base" . }}-epp{{- end -}}
{{- define "kvasir.gateway" -}}{{ include "kvasir.base" . }}-gateway{{- end -}}
{{- define "kvasir.worker" -}}{{ include "kvasir.base" . }}-worker{{- end -}}

{{/* Labels of an object. Call with (dict "root" $ "name" NAME). */}}
{{- define "kvasir.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: kvasir
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}
{{- define "kvasir.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "kvasir.image" -}}
{{- with .Values.router.epp.image }}{{ .registry }}/{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The labels of the pods that the pool takes. */}}
{{- define "kvasir.matchLabels" -}}
{{- if .Values.router.modelServers.matchLabels -}}
{{- toYaml .Values.router.modelServers.matchLabels -}}
{{- else if .Values.workers.enabled -}}
{{- include "kvasir.selector" (dict "root" . "name" (include "kvasir.worker" .)) -}}
{{- else -}}
{{- fail "router.modelServers.matchLabels: which pods are the workers? For simulated ones set workers.enabled" -}}
{{- end -}}
{{- end -}}

{{/* Where a program finds its endpoints: the pool, or without one the pods by their labels. */}}
{{- define "kvasir.poolFlags" -}}
{{- if .Values.router.inferencePool.create }}
- --pool-name={{ .Release.Name }}
- --pool-namespace=$(NAMESPACE)
- --pool-group=inference.networking.k8s.io
{{- else }}
{{- $labels := list }}
{{- range $key, $value := include "kvasir.matchLabels" . | fromYaml }}{{ $labels = append $labels (printf "%s=%s" $key $value) }}{{ end }}
{{- $ports := list }}
{{- range .Values.router.modelServers.targetPorts }}{{ $ports = append $ports (toString .number) }}{{ end }}
- --endpoint-selector={{ join "," $labels }}
- --endpoint-target-ports={{ join "," $ports }}
{{- end }}
{{- end -}}

{{- define "kvasir.flags" -}}
{{- range $name, $value := . }}
- {{ printf "--%s=%v" $name $value | quote }}
{{- end }}
{{- end -}}

{{- define "kvasir.env" -}}
- name: NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- with . }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kvasir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}
{{- define "kvasir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What kvasir kube rbac prints. Call with (dict "root" $ "epp" true|false). */}}
{{- define "kvasir.rules" -}}
{{- $root := .root -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if $root.Values.router.inferencePool.create }}
- apiGroups: [inference.networking.k8s.io]
  resources: [inferencepools]
  verbs: [list, watch]
{{- range $group := list "llm-d.ai" "inference.networking.x-k8s.io" }}
{{- range $resource := list "inferenceobjectives" "inferencemodelrewrites" }}
- apiGroups: [{{ $group }}]
  resources: [{{ $resource }}]
  verbs: [list, watch]
{{- end }}
{{- end }}
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if and .epp $root.Values.router.epp.leaderElection }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, watch, update]
{{- end }}
{{- if and .epp (include "kvasir.sharing" $root) }}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}
{{- end -}}

{{/* Not empty: several pickers that share what they know. */}}
{{- define "kvasir.sharing" -}}
{{- if and (gt (int .Values.router.epp.replicas) 1) (not .Values.router.epp.leaderElection) }}true{{ end -}}
{{- end -}}
{{- define "kvasir.peersSecret" -}}{{ .Values.peers.secretName | default (printf "%s-peers" (include "kvasir.epp" .)) }}{{- end -}}

{{/* Values of llm-d-router's charts for which nothing is built. */}}
{{- define "kvasir.validate" -}}
{{- $router := .Values.router -}}
{{- range $part := list "proxy" "tokenizer" "tracing" "latencyPredictor" -}}
{{- if dig $part "enabled" false $router -}}
{{- fail (printf "router.%s.enabled: not built here; leave it out (docs/EPP.md, \"What is not supported\")" $part) -}}
{{- end -}}
{{- end -}}
{{- if and $router.inferenceObjectives (not $router.inferencePool.create) -}}
{{- fail "router.inferenceObjectives: they belong to a pool; set router.inferencePool.create" -}}
{{- end -}}
{{- if not (or $router.epp.enabled .Values.gateway.enabled) -}}
{{- fail "router.epp.enabled, gateway.enabled: neither is set, so nothing would be installed" -}}
{{- end -}}
{{- end -}}
