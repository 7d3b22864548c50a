{{/* What a Deployment and a Rollout have in common: how many pods there are, how one is told from others, and what it is. */}}
{{- define "torchbridge.workload" -}}
{{- if eq .Values.autoscaling.kind "none" -}}
replicas: {{ .Values.replicas }}
{{ end -}}
revisionHistoryLimit: 5
progressDeadlineSeconds: {{ add (include "torchbridge.startupSeconds" .) 120 }}
selector:
  matchLabels:
    {{- include "torchbridge.selector" . | nindent 4 }}
template:
  {{- include "torchbridge.pod" . | nindent 2 }}
{{- end }}

{{- define "torchbridge.probe" -}}
{path: {{ last . }}, port: http{{ if (first .).Values.tls.secretName }}, scheme: HTTPS{{ end }}}
{{- end }}

{{- define "torchbridge.pod" -}}
metadata:
  labels:
    {{- include "torchbridge.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # With other models there are other pods.
    checksum/models: {{ include "torchbridge.modelsFile" . | sha256sum | quote }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "torchbridge.name" . }}
  automountServiceAccountToken: false
  # Else TORCHBRIDGE_PORT would be in the environment, of a Service with this name.
  enableServiceLinks: false
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . | quote }}
    {{- end }}
  {{- end }}
  # The gateway itself waits for the balancer (TORCHBRIDGE_SHUTDOWN_DELAY), and says so: no preStop sleeps beside it.
  terminationGracePeriodSeconds: {{ include "torchbridge.terminationSeconds" . }}
  securityContext:
    {{- include "torchbridge.podSecurity" . | nindent 4 }}
  containers:
    - name: torchbridge
      image: {{ include "torchbridge.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "torchbridge.arguments" . | nindent 8 }}
      env:
        {{- include "torchbridge.environment" . | nindent 8 }}
      ports:
        - {name: http, containerPort: 8000}
      # A model is loaded: until then nothing else is asked.
      startupProbe:
        httpGet: {{ include "torchbridge.probe" (list . "/readyz") }}
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: {{ div (include "torchbridge.startupSeconds" .) 5 }}
      # It can answer. /readyz may wait five seconds for a token; a worker that is started again is not ready meanwhile.
      readinessProbe:
        httpGet: {{ include "torchbridge.probe" (list . "/readyz") }}
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: 2
      # The gateway runs. It starts TorchServe and workers again itself; this is for a gateway that hangs.
      livenessProbe:
        httpGet: {{ include "torchbridge.probe" (list . "/livez") }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      securityContext:
        {{- include "torchbridge.containerSecurity" . | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        {{- include "torchbridge.mounts" . | nindent 8 }}
  volumes:
    {{- include "torchbridge.volumes" . | nindent 4 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ .Values.spreadOverHosts }}
      matchLabelKeys: [{{ .Values.rollout.enabled | ternary "rollouts-pod-template-hash" "pod-template-hash" }}]
      labelSelector:
        matchLabels:
          {{- include "torchbridge.selector" . | nindent 10 }}
  {{- range $field := list "nodeSelector" "tolerations" "affinity" }}
  {{- with get $.Values $field }}
  {{ $field }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
