{{/* Short enough for the names that end with -pods. */}}
{{- define "torchbridge.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) -}}
{{- $name | trunc 58 | trimSuffix "-" -}}
{{- end }}

{{- define "torchbridge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "torchbridge.labels" -}}
{{ include "torchbridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "torchbridge.image" -}}
{{- with .Values.image -}}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end }}
{{- end }}

{{/* Kubernetes sets the group of a volume once; each time it would make what the server keeps writable by that group. */}}
{{- define "torchbridge.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "torchbridge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The gateway's last words take up to ten seconds after delay and grace, and TorchServe's end as long. */}}
{{- define "torchbridge.terminationSeconds" -}}
{{- add .Values.shutdown.delaySeconds .Values.shutdown.graceSeconds 20 -}}
{{- end }}

{{- define "torchbridge.startupSeconds" -}}
{{- add .Values.startup.prepareSeconds .Values.startup.loadSeconds -}}
{{- end }}

{{- define "torchbridge.modelsFile" -}}
models:
{{ toYaml .Values.models | indent 2 }}
{{- with .Values.defaultModel }}
default_model: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Names by which the Service is called, for a gateway that knows its callers by nothing else. */}}
{{- define "torchbridge.hostNames" -}}
{{- $service := include "torchbridge.name" . -}}
{{- $names := list -}}
{{- range list $service (printf "%s-pods" $service) -}}
{{- $inNamespace := printf "%s.%s" . $.Release.Namespace -}}
{{- $names = concat $names (list . $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.%s" $inNamespace $.Values.clusterDomain)) -}}
{{- end -}}
{{- concat $names .Values.allowedHosts | join "," -}}
{{- end }}

{{/* What has the pods, for who scales them. */}}
{{- define "torchbridge.scaled" -}}
{{- $kind := .Values.rollout.enabled | ternary "argoproj.io/v1alpha1, kind: Rollout" "apps/v1, kind: Deployment" -}}
{apiVersion: {{ $kind }}, name: {{ include "torchbridge.name" . }}}
{{- end }}

{{- define "torchbridge.serverName" -}}
{{- .Values.tls.serverName | default (printf "%s.%s.svc" (include "torchbridge.name" .) .Release.Namespace) -}}
{{- end }}

{{- define "torchbridge.url" -}}
{{- $scheme := empty .Values.tls.secretName | ternary "http" "https" -}}
{{- printf "%s://%s.%s.svc:%d" $scheme (include "torchbridge.name" .) .Release.Namespace (int .Values.service.port) -}}
{{- end }}

{{/* A new pod loads a model and compiles: one too many for ten minutes costs less than one too few. */}}
{{- define "torchbridge.scalingBehavior" -}}
scaleUp:
  policies: [{type: Percent, value: 100, periodSeconds: 60}]
scaleDown:
  stabilizationWindowSeconds: 600
  policies: [{type: Pods, value: 1, periodSeconds: 120}]
{{- end }}

{{- define "torchbridge.check" -}}
{{- if and .Values.models .Values.model }}{{ fail "models and model: give one of them" }}{{ end -}}
{{- if and .Values.defaultModel (not (hasKey .Values.models .Values.defaultModel)) -}}
{{- fail (printf "defaultModel: %s is none of the models" .Values.defaultModel) -}}
{{- end -}}
{{- if not .Values.archives.volume -}}
{{- $archives := list .Values.model -}}
{{- range .Values.models }}{{ range .versions }}{{ $archives = append $archives .archive }}{{ end }}{{ end -}}
{{- range $archives -}}
{{- if hasPrefix "/models/" . }}{{ fail (printf "archives.volume: %s needs a volume at /models" .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.apiKeys.secretName (not .Values.operatorKeys.secretName) -}}
{{- fail "operatorKeys.secretName: where there are API keys, Prometheus reads /metrics with an operator's key only" -}}
{{- end -}}
{{- with .Values.rollout -}}
{{- if and .verdictOf (not .enabled) }}{{ fail "rollout.verdictOf: only a Rollout asks: rollout.enabled" }}{{ end -}}
{{- if and .verdictOf (not $.Values.redis.secretName) -}}
{{- fail "rollout.verdictOf: pods have one verdict by what they count together: redis.secretName" -}}
{{- end -}}
{{- if and .verdictOf $.Values.apiKeys.secretName (not $.Values.operatorKeys.secretName) -}}
{{- fail "operatorKeys.secretName: where there are API keys, Argo Rollouts reads /canary/verdict with an operator's key only" -}}
{{- end -}}
{{- if and .verdictOf $.Values.models (not (hasKey $.Values.models .verdictOf)) -}}
{{- fail (printf "rollout.verdictOf: %s is none of the models" .verdictOf) -}}
{{- end -}}
{{- end -}}
{{- end }}
