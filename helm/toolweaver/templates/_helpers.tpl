{{/*
Templates take a dictionary: "root" (the chart's context), "component" (for example query-worker) and, where a worker's own
values matter, "values" (for example .Values.queryWorker).
*/}}

{{- define "toolweaver.name" -}}
{{- printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "toolweaver.selectorLabels" -}}
app.kubernetes.io/name: toolweaver
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "toolweaver.labels" -}}
{{ include "toolweaver.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "toolweaver.image" -}}
{{- $image := .root.Values.image -}}
{{- printf "%stoolweaver/%s:%s" $image.registry .component ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{/* What every pod says about itself. */}}
{{- define "toolweaver.podSpec" -}}
serviceAccountName: {{ include "toolweaver.name" . }}
automountServiceAccountToken: false
# Longer than DRAIN_TIMEOUT_SECONDS, which is 25 unless set.
terminationGracePeriodSeconds: 35
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "toolweaver.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* Image, probes and limits of a worker's container. */}}
{{- define "toolweaver.container" -}}
image: {{ include "toolweaver.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
ports:
  - { name: http, containerPort: 9464 }
livenessProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 10
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
resources: {{ toYaml .values.resources | nindent 2 }}
{{ include "toolweaver.containerSecurity" . }}
{{- end -}}

{{/* Environment that all workers have. */}}
{{- define "toolweaver.env" -}}
{{- $values := .root.Values -}}
- { name: HTTP_ADDR, value: "0.0.0.0:9464" }
- { name: LOG_FORMAT, value: {{ $values.telemetry.logFormat | quote }} }
{{- with $values.telemetry.otlpEndpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
{{- end }}
- { name: NATS_URL, value: {{ $values.nats.url | quote }} }
{{- if $values.nats.credentialsSecret }}
- { name: NATS_CREDENTIALS_FILE, value: /etc/toolweaver/nats/nats.creds }
{{- end }}
{{- end -}}

{{/* For the workers that make streams. */}}
{{- define "toolweaver.env.streams" -}}
- { name: NATS_STREAM_REPLICAS, value: {{ .root.Values.nats.streamReplicas | quote }} }
{{- end -}}

{{- define "toolweaver.env.qdrant" -}}
- { name: USE_VECTOR_DB, value: "true" }
- { name: QDRANT_URL, value: {{ .root.Values.qdrant.url | quote }} }
{{- with .root.Values.qdrant.apiKeySecret }}
- name: QDRANT_API_KEY
  valueFrom: { secretKeyRef: { name: {{ . }}, key: api-key } }
{{- end }}
{{- end -}}

{{- define "toolweaver.env.redis" -}}
- { name: USE_REDIS, value: "true" }
{{- if .root.Values.redis.urlSecret }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ .root.Values.redis.urlSecret }}, key: url } }
{{- else }}
- { name: REDIS_URL, value: {{ .root.Values.redis.url | quote }} }
{{- end }}
{{- end -}}

{{- define "toolweaver.env.model" -}}
- { name: TOOLWEAVER_MODEL_DIR, value: /data/models/all-MiniLM-L6-v2 }
{{- end -}}

{{- define "toolweaver.volumeMounts.nats" -}}
{{- if .root.Values.nats.credentialsSecret -}}
- { name: nats-credentials, mountPath: /etc/toolweaver/nats, readOnly: true }
{{- end -}}
{{- end -}}

{{- define "toolweaver.volumes.nats" -}}
{{- with .root.Values.nats.credentialsSecret -}}
- name: nats-credentials
  secret: { secretName: {{ . }} }
{{- end -}}
{{- end -}}

{{- define "toolweaver.volumes.model" -}}
- name: models
{{- if .root.Values.model.existingClaim }}
  persistentVolumeClaim: { claimName: {{ .root.Values.model.existingClaim }}, readOnly: true }
{{- else }}
  emptyDir: {}
{{- end }}
{{- end -}}

{{/* Downloads the model where no volume brings it. */}}
{{- define "toolweaver.initContainers.model" -}}
{{- if not .root.Values.model.existingClaim -}}
initContainers:
  - name: model
    image: {{ include "toolweaver.image" (dict "root" .root "component" "toolweaver") | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: ["model", "pull", "--data-dir", "/data"]
    volumeMounts:
      - { name: models, mountPath: /data/models }
    {{- include "toolweaver.containerSecurity" . | nindent 4 }}
{{- end -}}
{{- end -}}
