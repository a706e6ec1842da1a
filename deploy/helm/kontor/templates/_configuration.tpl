{{/* The configuration of a node, for the nodes of a release and for its migration. */}}
{{- define "kontor.configuration" -}}
secrets_key = { env = "KONTOR_SECRETS_KEY" }

[node]
id = { env = "KONTOR_NODE" }
roles = {{ .Values.roles | toJson }}
public_url = {{ .Values.publicUrl | quote }}
data_dir = "/data"
log_format = "json"

[public]
host = "0.0.0.0"
port = 8080
trusted_proxies = {{ .Values.trustedProxies | toJson }}

[operator]
host = "0.0.0.0"
port = 8081
{{- range .Values.operator.apiKeys }}

[[operator.api_keys]]
name = {{ .name | quote }}
role = {{ .role | default "operate" | quote }}
sha256 = {{ .sha256 | quote }}
{{- end }}

[store]
url = { env = "KONTOR_STORE_URL" }
{{- if .Values.data.workers }}

[data]
workers = {{ .Values.data.workers }}
public_url = {{ .Values.publicUrl | quote }}
listener = { host = "0.0.0.0", port = 8082, trusted_proxies = {{ .Values.trustedProxies | toJson }} }
{{- else if .Values.data.extraConfig }}

[data]
{{- end }}
{{- with .Values.data.extraConfig }}
{{- . | nindent 0 }}
{{- end }}
{{- with .Values.signaling }}
{{- if .enabled }}

[signaling]
host = "0.0.0.0"
port = 8182
id = {{ .id | default (include "kontor.name" $) | quote }}
url = "{{ if .tlsSecret }}https{{ else }}http{{ end }}://{{ include "kontor.name" $ }}-signaling.{{ $.Release.Namespace }}.svc:8182"
{{- if .tlsSecret }}
tls_certificate = "/etc/kontor-signaling/tls.crt"
tls_key = "/etc/kontor-signaling/tls.key"
{{- else }}
unsafe_allow_http = {{ .unsafeAllowHttp }}
{{- end }}
{{- with .extraConfig }}
{{- . | nindent 0 }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $one := .Values.participants }}

[participants.{{ $name | quote }}]
id = {{ $one.id | quote }}
title = {{ $one.title | default "" | quote }}
approval = {{ $one.approval | default "auto" | quote }}
{{- end }}
{{- with .Values.extraConfig }}

{{- . | nindent 0 }}
{{- end }}
{{- end -}}
