{{/* Rules of NetworkPolicies. Templates take the chart's context, unless they say otherwise. */}}

{{/* Takes a dictionary with "root" and "component"; the pods of that component. */}}
{{- define "toolweaver.network.peer" -}}
- podSelector:
    matchLabels: {{- include "toolweaver.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "toolweaver.network.dns" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- end -}}

{{/* To anybody on these ports: a list. */}}
{{- define "toolweaver.network.anybody" -}}
{{- if . }}
- ports:
{{- range . }}
    - { port: {{ . }}, protocol: TCP }
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes "root", "component" (of the data store), "port", "enabled", "external" (ports). */}}
{{- define "toolweaver.network.store" -}}
{{- if .enabled }}
- to: {{- include "toolweaver.network.peer" . | nindent 4 }}
  ports: [{ port: {{ .port }}, protocol: TCP }]
{{- else }}
{{- include "toolweaver.network.anybody" .external }}
{{- end }}
{{- end -}}

{{- define "toolweaver.network.nats" -}}
{{- include "toolweaver.network.store" (dict "root" . "component" "nats" "port" 4222 "enabled" .Values.nats.enabled "external" .Values.networkPolicy.externalPorts.nats) }}
{{- end -}}

{{- define "toolweaver.network.qdrant" -}}
{{- include "toolweaver.network.store" (dict "root" . "component" "qdrant" "port" 6334 "enabled" .Values.qdrant.enabled "external" .Values.networkPolicy.externalPorts.qdrant) }}
{{- end -}}

{{- define "toolweaver.network.redis" -}}
{{- include "toolweaver.network.store" (dict "root" . "component" "redis" "port" 6379 "enabled" .Values.redis.enabled "external" .Values.networkPolicy.externalPorts.redis) }}
{{- end -}}

{{- define "toolweaver.network.model" -}}
{{- if include "toolweaver.model.isPulled" . }}
{{- include "toolweaver.network.anybody" .Values.networkPolicy.externalPorts.model }}
{{- end }}
{{- end -}}

{{/* Takes "root", "component", and "egress": rules as text. */}}
{{- define "toolweaver.worker.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "toolweaver.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with $policy.scrapers }}
  ingress:
    - from: {{- toYaml . | nindent 8 }}
      ports: [{ port: http, protocol: TCP }]
  {{- end }}
  egress:
    {{- include "toolweaver.join" (list
      (include "toolweaver.network.dns" .root)
      (include "toolweaver.network.nats" .root)
      .egress
      (ternary (include "toolweaver.network.anybody" $policy.externalPorts.otlp) "" (ne .root.Values.telemetry.otlpEndpoint ""))
      (include "toolweaver.list" $policy.extraEgress)
    ) | nindent 4 }}
{{- end -}}
