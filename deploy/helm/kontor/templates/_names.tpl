{{/* What all objects of a release have in common. */}}
{{- define "kontor.name" -}}
{{- printf "%s-kontor" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "kontor.selector" -}}
app.kubernetes.io/name: kontor
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pods of the migration: no service, budget or policy of the nodes means them. */}}
{{- define "kontor.migration" -}}
app.kubernetes.io/name: kontor-migrate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kontor.labels" -}}
{{ include "kontor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The container, for the node and for the migration; `arguments` is what the program is told. */}}
{{- define "kontor.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
env:
  - name: KONTOR_NODE
    valueFrom: { fieldRef: { fieldPath: metadata.name } }
  - name: KONTOR_STORE_URL
    valueFrom: { secretKeyRef: { name: {{ .Values.store.urlSecret.name | quote }}, key: {{ .Values.store.urlSecret.key | quote }} } }
  - name: KONTOR_SECRETS_KEY
    valueFrom: { secretKeyRef: { name: {{ .Values.secretsKey.name | quote }}, key: {{ .Values.secretsKey.key | quote }} } }
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - { name: config, mountPath: /etc/kontor, readOnly: true }
  - { name: data, mountPath: /data }
  {{- if and .Values.signaling.enabled .Values.signaling.tlsSecret }}
  - { name: signaling-tls, mountPath: /etc/kontor-signaling, readOnly: true }
  {{- end }}
resources: {{- toYaml .Values.resources | nindent 2 }}
{{- end -}}

{{/* The volume with the certificate of the signaling listener, where it has one. */}}
{{- define "kontor.signaling-tls" -}}
{{- if and .Values.signaling.enabled .Values.signaling.tlsSecret -}}
- name: signaling-tls
  secret: { secretName: {{ .Values.signaling.tlsSecret | quote }} }
{{- end -}}
{{- end -}}

{{- define "kontor.pod" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
