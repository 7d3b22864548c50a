{{- define "torchbridge.arguments" -}}
- serve
{{- if .Values.models }}
- --models=/etc/torchbridge/models/models.yaml
{{- else if .Values.model }}
- {{ printf "--model=%s" .Values.model | quote }}
{{- end }}
{{- if .Values.key.secretName }}
- {{ printf "--key=/etc/torchbridge/key/%s" .Values.key.entry | quote }}
{{- end }}
{{- end }}

{{- define "torchbridge.environment" -}}
- {name: TORCHBRIDGE_ALLOWED_HOSTS, value: {{ include "torchbridge.hostNames" . | quote }}}
- {name: TORCHBRIDGE_COMPILE, value: {{ .Values.compile | quote }}}
- {name: TORCHBRIDGE_LOAD_TIMEOUT, value: {{ .Values.startup.loadSeconds | int | quote }}}
- {name: TORCHBRIDGE_SHUTDOWN_DELAY, value: {{ .Values.shutdown.delaySeconds | int | quote }}}
- {name: TORCHBRIDGE_SHUTDOWN_GRACE, value: {{ .Values.shutdown.graceSeconds | int | quote }}}
{{- if .Values.apiKeys.secretName }}
- {name: TORCHBRIDGE_API_KEYS_FILE, value: /etc/torchbridge/api-keys/api-keys}
{{- end }}
{{- if .Values.operatorKeys.secretName }}
- {name: TORCHBRIDGE_OPERATOR_KEYS_FILE, value: /etc/torchbridge/operator-keys/operator-keys}
{{- end }}
{{- if .Values.tls.secretName }}
- {name: TORCHBRIDGE_TLS_CERTIFICATE, value: /etc/torchbridge/tls/tls.crt}
- {name: TORCHBRIDGE_TLS_KEY, value: /etc/torchbridge/tls/tls.key}
{{- end }}
{{- with .Values.trustedProxies }}
- {name: TORCHBRIDGE_TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
{{- if .Values.redis.secretName }}
- name: TORCHBRIDGE_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.redis.secretName | quote }}, key: url}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: TORCHBRIDGE_{{ $name }}, value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}}
{{- end }}
{{- end }}

{{- define "torchbridge.mounts" -}}
- {name: state, mountPath: /var/lib/torchbridge}
- {name: temporary, mountPath: /tmp}
{{- if .Values.models }}
- {name: models, mountPath: /etc/torchbridge/models, readOnly: true}
{{- end }}
{{- if .Values.archives.volume }}
- {name: archives, mountPath: /models, readOnly: true}
{{- end }}
{{- range $name, $secret := dict "key" .Values.key "api-keys" .Values.apiKeys "operator-keys" .Values.operatorKeys "tls" .Values.tls }}
{{- if $secret.secretName }}
- {name: {{ $name }}, mountPath: /etc/torchbridge/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A secret is root's, and the pod's group reads it: the gateway refuses one that others could read. */}}
{{- define "torchbridge.volumes" -}}
- {name: state, emptyDir: {sizeLimit: {{ .Values.state.sizeLimit | quote }}}}
- {name: temporary, emptyDir: {sizeLimit: {{ .Values.temporary.sizeLimit | quote }}}}
{{- if .Values.models }}
- {name: models, configMap: {name: {{ include "torchbridge.name" . }}-models}}
{{- end }}
{{- with .Values.archives.volume }}
- name: archives
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.key.secretName }}
- {name: key, secret: {secretName: {{ .Values.key.secretName | quote }}, defaultMode: 0440}}
{{- end }}
{{- if .Values.apiKeys.secretName }}
- {name: api-keys, secret: {secretName: {{ .Values.apiKeys.secretName | quote }}, defaultMode: 0440}}
{{- end }}
{{- with .Values.operatorKeys.secretName }}
- name: operator-keys
  secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: operator-keys, path: operator-keys}]}
{{- end }}
{{- with .Values.tls.secretName }}
- name: tls
  secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
