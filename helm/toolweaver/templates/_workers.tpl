{{/* The manifests of a worker; its files choose what goes into them. */}}

{{/*
The pods' Deployment. Takes "env", "volumes", "volumeMounts", "initContainers" (YAML lists as text), "config" (the file of its
ConfigMap), "image", and "replicas", which is null where an autoscaler decides.
*/}}
{{- define "toolweaver.worker.deployment" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $gpu := .gpu | default (dict "enabled" false) -}}
{{- $nodeSelector := $values.nodeSelector -}}
{{- $tolerations := $values.tolerations -}}
{{- $resources := .resources | default $values.resources -}}
{{- if $gpu.enabled -}}
{{- $nodeSelector = merge (dict) $values.nodeSelector $gpu.nodeSelector -}}
{{- $tolerations = concat $values.tolerations $gpu.tolerations -}}
{{- $resources = mergeOverwrite (deepCopy $resources) (dict "limits" (dict $gpu.resource $gpu.count)) -}}
{{- end -}}
{{- $annotations := dict "checksum/config" (.config | sha256sum) -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
spec:
  {{- if ne .replicas nil }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  # A new pod may have to download the model, and to read the whole catalog.
  progressDeadlineSeconds: 900
  strategy:
    type: RollingUpdate
    rollingUpdate: {{- toYaml $values.rollingUpdate | nindent 6 }}
  selector:
    matchLabels: {{- include "toolweaver.selectorLabels" . | nindent 6 }}
  template:
    metadata: {{- include "toolweaver.pod.metadata" (merge (dict "annotations" $annotations) .) | nindent 6 }}
    spec:
      {{- include "toolweaver.pod.common" (merge (dict "user" 10001) .) | nindent 6 }}
      terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds $root.Values.drainSeconds 10 }}
      {{- with $gpu.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- include "toolweaver.pod.placement" (merge (dict "nodeSelector" $nodeSelector "tolerations" $tolerations "deployment" true) .) | nindent 6 }}
      {{- with .initContainers | default "" | trim }}
      initContainers: {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "toolweaver.image" . | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          ports:
            - { name: http, containerPort: 9464 }
          env:
            - { name: HTTP_ADDR, value: "0.0.0.0:9464" }
            - { name: LOG_FORMAT, value: {{ $root.Values.telemetry.logFormat }} }
            {{- with $root.Values.telemetry.otlpEndpoint }}
            - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
            - { name: OTEL_TRACES_SAMPLER_ARG, value: {{ $root.Values.telemetry.traceRatio | quote }} }
            {{- end }}
            - { name: DRAIN_TIMEOUT_SECONDS, value: {{ $root.Values.drainSeconds | quote }} }
            {{- include "toolweaver.nats.env" $root | nindent 12 }}
            {{- .env | trim | nindent 12 }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          envFrom:
            - configMapRef: { name: {{ include "toolweaver.name" . }} }
          # As long as the model is read and, in a query worker, the catalog.
          startupProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet: { path: /livez, port: http }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /readyz, port: http }
            periodSeconds: 5
            timeoutSeconds: 3
          {{- if $root.Values.preStopSeconds }}
          lifecycle:
            # Kubernetes sleeps by itself: the image has no shell.
            preStop: { sleep: { seconds: {{ $root.Values.preStopSeconds }} } }
          {{- end }}
          resources: {{- toYaml $resources | nindent 12 }}
          {{- include "toolweaver.container.security" . | nindent 10 }}
          {{- with include "toolweaver.join" (list (include "toolweaver.nats.volumeMounts" $root) .volumeMounts (include "toolweaver.list" $values.extraVolumeMounts)) }}
          volumeMounts: {{- . | nindent 12 }}
          {{- end }}
      {{- with include "toolweaver.join" (list (include "toolweaver.nats.volumes" $root) .volumes (include "toolweaver.list" $values.extraVolumes)) }}
      volumes: {{- . | nindent 8 }}
      {{- end }}
{{- end -}}

{{/* A list of values as YAML, nothing for an empty one. */}}
{{- define "toolweaver.list" -}}
{{- with . }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* YAML lists as text, one after the other; some may be empty or null. */}}
{{- define "toolweaver.join" -}}
{{- $texts := list -}}
{{- range . -}}
{{- $texts = append $texts (. | default "" | trim) -}}
{{- end -}}
{{- join "\n" (compact $texts) -}}
{{- end -}}

{{/* Settings by environment name. Takes "config", a map. Numbers are written out: 268435456, never 2.68435456e+08. */}}
{{- define "toolweaver.worker.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
data:
{{- range $name, $value := .config }}
  {{ $name }}: {{ if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ printf "%.0f" $value | quote }}{{ else }}{{ toString $value | quote }}{{ end }}
{{- else }} {}
{{- end }}
{{- with .files }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "toolweaver.worker.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
spec:
  # For metrics: agents reach the workers through NATS.
  clusterIP: None
  ports:
    - { name: http, port: 9464, targetPort: http }
  selector: {{- include "toolweaver.selectorLabels" . | nindent 4 }}
{{- end -}}

{{- define "toolweaver.worker.serviceMonitor" -}}
{{- $monitor := .root.Values.metrics.serviceMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "toolweaver.name" . }}
  labels: {{- merge (include "toolweaver.labels" . | fromYaml) $monitor.labels | toYaml | nindent 4 }}
spec:
  jobLabel: app.kubernetes.io/component
  selector:
    matchLabels: {{- include "toolweaver.selectorLabels" . | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      # Our metrics have labels `service` and `endpoint` of their own, which the alerts read.
      honorLabels: true
      interval: {{ $monitor.interval }}
{{- end -}}
