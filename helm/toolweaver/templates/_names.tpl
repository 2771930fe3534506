{{/*
Templates take a dictionary: "root" (the chart's context) and "component" (for example query-worker); those of workers and data
stores also "values" (for example .Values.queryWorker). "name" is what follows the release's name; without it, the component.
*/}}

{{/* Shorter than the 52 characters that a StatefulSet's name may have: it is the release's name that is cut. */}}
{{- define "toolweaver.name" -}}
{{- $suffix := .name | default .component -}}
{{- printf "%s-%s" (trunc (int (sub 51 (len $suffix))) .root.Release.Name | trimSuffix "-") $suffix -}}
{{- end -}}

{{- define "toolweaver.selectorLabels" -}}
app.kubernetes.io/name: toolweaver
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .shard }}
toolweaver/shard: {{ . }}
{{- end }}
{{- end -}}

{{- define "toolweaver.labels" -}}
{{ include "toolweaver.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "toolweaver.metadata" -}}
name: {{ include "toolweaver.name" . }}
labels: {{- include "toolweaver.labels" . | nindent 2 }}
{{- end -}}

{{- define "toolweaver.image" -}}
{{- $image := .root.Values.image -}}
{{- printf "%stoolweaver/%s:%s" $image.registry .image ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
