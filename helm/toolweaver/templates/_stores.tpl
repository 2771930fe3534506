{{/* How workers reach NATS, Qdrant, Redis and the model: addresses, environment, volumes. Templates take the chart's context. */}}

{{- define "toolweaver.nats.url" -}}
{{- if .Values.nats.enabled -}}
{{- printf "%s://%s:4222" (ternary "tls" "nats" (ne .Values.nats.tls.serverSecret "")) (include "toolweaver.name" (dict "root" . "component" "nats")) -}}
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
{{- end -}}

{{- define "toolweaver.nats.streamReplicas" -}}
{{- if .Values.nats.streamReplicas -}}
{{- .Values.nats.streamReplicas -}}
{{- else if and .Values.nats.enabled (eq (int .Values.nats.replicas) 1) -}}
1
{{- else -}}
3
{{- end -}}
{{- end -}}

{{- define "toolweaver.nats.env" -}}
{{- $nats := .Values.nats -}}
- { name: NATS_URL, value: {{ include "toolweaver.nats.url" . | quote }} }
{{- if $nats.auth.credentialsSecret }}
- { name: NATS_CREDENTIALS_FILE, value: /etc/toolweaver/nats-credentials/nats.creds }
{{- end }}
{{- with $nats.auth.tokenSecret }}
- name: NATS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ . }}, key: token } }
{{- end }}
{{- with $nats.auth.userSecret }}
- name: NATS_USER
  valueFrom: { secretKeyRef: { name: {{ . }}, key: user } }
- name: NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ . }}, key: password } }
{{- end }}
{{- if $nats.tls.caSecret }}
- { name: NATS_TLS_CA, value: /etc/toolweaver/nats-ca/ca.crt }
{{- end }}
{{- if $nats.tls.clientSecret }}
- { name: NATS_TLS_CERT, value: /etc/toolweaver/nats-client/tls.crt }
- { name: NATS_TLS_KEY, value: /etc/toolweaver/nats-client/tls.key }
{{- end }}
{{- end -}}

{{- define "toolweaver.nats.volumes" -}}
{{- with .Values.nats.auth.credentialsSecret }}
- name: nats-credentials
  secret: { secretName: {{ . }}, items: [{ key: nats.creds, path: nats.creds }] }
{{- end }}
{{- with .Values.nats.tls.caSecret }}
- name: nats-ca
  secret: { secretName: {{ . }}, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- with .Values.nats.tls.clientSecret }}
- name: nats-client
  secret: { secretName: {{ . }}, items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }] }
{{- end }}
{{- end -}}

{{- define "toolweaver.nats.volumeMounts" -}}
{{- if .Values.nats.auth.credentialsSecret }}
- { name: nats-credentials, mountPath: /etc/toolweaver/nats-credentials, readOnly: true }
{{- end }}
{{- if .Values.nats.tls.caSecret }}
- { name: nats-ca, mountPath: /etc/toolweaver/nats-ca, readOnly: true }
{{- end }}
{{- if .Values.nats.tls.clientSecret }}
- { name: nats-client, mountPath: /etc/toolweaver/nats-client, readOnly: true }
{{- end }}
{{- end -}}

{{- define "toolweaver.qdrant.env" -}}
{{- $qdrant := .Values.qdrant -}}
{{- $nodes := ternary (int $qdrant.replicas) 1 $qdrant.enabled -}}
- { name: USE_VECTOR_DB, value: "true" }
{{- if $qdrant.enabled }}
- { name: QDRANT_URL, value: "http://{{ include "toolweaver.name" (dict "root" . "component" "qdrant") }}:6334" }
{{- else }}
- { name: QDRANT_URL, value: {{ $qdrant.url | quote }} }
{{- end }}
- { name: QDRANT_ALIAS, value: {{ $qdrant.alias | quote }} }
{{- with $qdrant.replicationFactor | default (ternary 2 0 (gt $nodes 1)) }}
- { name: QDRANT_REPLICATION_FACTOR, value: {{ . | quote }} }
{{- end }}
{{- with $qdrant.shardNumber | default (ternary $nodes 0 (gt $nodes 1)) }}
- { name: QDRANT_SHARD_NUMBER, value: {{ . | quote }} }
{{- end }}
{{- with $qdrant.apiKeySecret }}
- name: QDRANT_API_KEY
  valueFrom: { secretKeyRef: { name: {{ . }}, key: api-key } }
{{- end }}
{{- end -}}

{{- define "toolweaver.redis.env" -}}
{{- $redis := .Values.redis -}}
- { name: USE_REDIS, value: "true" }
{{- if $redis.enabled }}
- { name: REDIS_URL, value: "{{ ternary "redis-cluster" "redis" $redis.cluster }}://{{ include "toolweaver.name" (dict "root" . "component" "redis") }}:6379" }
{{- else if $redis.urlSecret }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ $redis.urlSecret }}, key: url } }
{{- else }}
- { name: REDIS_URL, value: {{ $redis.url | quote }} }
{{- end }}
- { name: REDIS_PREFIX, value: {{ $redis.prefix | quote }} }
{{- end -}}

{{/* "yes" where the model's folder comes in a volume. */}}
{{- define "toolweaver.model.hasVolume" -}}
{{- if and (eq .Values.model.kind "candle") (not .Values.model.inImage) }}yes{{ end -}}
{{- end -}}

{{/* "yes" where an init container downloads it. */}}
{{- define "toolweaver.model.isPulled" -}}
{{- if and (include "toolweaver.model.hasVolume" .) (not .Values.model.existingClaim) (not .Values.model.image) }}yes{{ end -}}
{{- end -}}

{{- define "toolweaver.model.env" -}}
{{- $model := .Values.model -}}
- { name: TOOLWEAVER_MODEL, value: {{ $model.kind }} }
{{- if eq $model.kind "candle" }}
- { name: TOOLWEAVER_MODEL_DIR, value: {{ printf "/data/models/%s" $model.name | quote }} }
{{- end }}
{{- with $model.queryPrefix }}
- { name: TOOLWEAVER_QUERY_PREFIX, value: {{ . | quote }} }
{{- end }}
{{- with $model.passagePrefix }}
- { name: TOOLWEAVER_PASSAGE_PREFIX, value: {{ . | quote }} }
{{- end }}
{{- end -}}

{{- define "toolweaver.model.volumes" -}}
{{- if include "toolweaver.model.hasVolume" . }}
- name: models
{{- if .Values.model.existingClaim }}
  persistentVolumeClaim: { claimName: {{ .Values.model.existingClaim }}, readOnly: true }
{{- else if .Values.model.image }}
  image: { reference: {{ .Values.model.image | quote }}, pullPolicy: {{ .Values.image.pullPolicy }} }
{{- else }}
  emptyDir: { sizeLimit: 2Gi }
{{- end }}
{{- end }}
{{- end -}}

{{- define "toolweaver.model.volumeMounts" -}}
{{- if include "toolweaver.model.hasVolume" . }}
- { name: models, mountPath: /data/models, readOnly: true }
{{- end }}
{{- end -}}

{{- define "toolweaver.model.initContainers" -}}
{{- if include "toolweaver.model.isPulled" . }}
- name: model
  image: {{ include "toolweaver.image" (dict "root" . "image" "toolweaver") | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: ["model", "pull", "--data-dir", "/data"]
  {{- with .Values.model.endpoint }}
  env:
    - { name: HF_ENDPOINT, value: {{ . | quote }} }
  {{- end }}
  volumeMounts:
    - { name: models, mountPath: /data/models }
  resources: { requests: { cpu: 100m, memory: 64Mi }, limits: { memory: 256Mi } }
  {{- include "toolweaver.container.security" . | nindent 2 }}
{{- end }}
{{- end -}}
