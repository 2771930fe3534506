{{/*
The Deployments of query workers as JSON: one for each shard, or a single undivided one. Each has "context" (without "root", which
JSON would not bring back), "replicas", "autoscaling", "resources", "config", and "domains", which only a shard has. The domain in which
`helm test` registers a tool goes to the first shard, unless another owns it.
*/}}
{{- define "toolweaver.queryWorkers" -}}
{{- $worker := .Values.queryWorker -}}
{{- $workers := list -}}
{{- $probe := "toolweaver-probe" -}}
{{- range .Values.shards -}}
{{- if has $probe .domains }}{{ $probe = "" }}{{ end -}}
{{- end -}}
{{- range $index, $_ := .Values.shards -}}
{{- $workers = append $workers (dict
  "context" (dict "component" "query-worker" "name" (printf "query-worker-%s" .name) "shard" .name)
  "domains" (concat .domains (ternary (list $probe) list (eq $index 0)) | compact | join ",")
  "replicas" (ternary .replicas $worker.replicas (hasKey . "replicas"))
  "autoscaling" (merge (dict) (.autoscaling | default dict) $worker.autoscaling)
  "resources" (.resources | default $worker.resources)
  "config" (merge (dict) (.config | default dict) $worker.config)
) -}}
{{- else -}}
{{- $workers = append $workers (dict
  "context" (dict "component" "query-worker" "shard" "all")
  "replicas" $worker.replicas
  "autoscaling" $worker.autoscaling
  "resources" $worker.resources
  "config" $worker.config
) -}}
{{- end -}}
{{- dict "workers" $workers | toJson -}}
{{- end -}}

{{/* Takes the context with "config". */}}
{{- define "toolweaver.query-worker.configMap" -}}
{{- $files := dict -}}
{{- with .root.Values.queryWorker.warmQueries -}}
{{- $files = dict "warm.txt" . -}}
{{- end -}}
{{- include "toolweaver.worker.configMap" (merge (dict "files" $files) .) -}}
{{- end -}}

{{/* Takes "domains" beside the context. */}}
{{- define "toolweaver.query-worker.env" -}}
{{- $worker := .root.Values.queryWorker -}}
{{ include "toolweaver.qdrant.env" .root }}
{{ include "toolweaver.redis.env" .root }}
{{ include "toolweaver.model.env" .root }}
{{- if $worker.cacheFiles.enabled }}
- { name: CACHE_DIR, value: /var/cache/toolweaver }
{{- end }}
{{- if $worker.warmQueries }}
- { name: QUERY_WARM_FILE, value: /etc/toolweaver/warm/warm.txt }
{{- end }}
{{- with .domains }}
- { name: QUERY_DOMAINS, value: {{ . | quote }} }
{{- end }}
{{- with $worker.routerLlmSecret }}
- name: ROUTER_LLM_API_KEY
  valueFrom: { secretKeyRef: { name: {{ . }}, key: api-key } }
{{- end }}
{{- end -}}

{{- define "toolweaver.query-worker.volumes" -}}
{{- $worker := .root.Values.queryWorker -}}
{{- include "toolweaver.model.volumes" .root }}
{{- if $worker.cacheFiles.enabled }}
- name: cache
  emptyDir: { sizeLimit: {{ $worker.cacheFiles.size }} }
{{- end }}
{{- if $worker.warmQueries }}
- name: warm
  configMap: { name: {{ include "toolweaver.name" . }}, items: [{ key: warm.txt, path: warm.txt }] }
{{- end }}
{{- end -}}

{{- define "toolweaver.query-worker.volumeMounts" -}}
{{- $worker := .root.Values.queryWorker -}}
{{- include "toolweaver.model.volumeMounts" .root }}
{{- if $worker.cacheFiles.enabled }}
- { name: cache, mountPath: /var/cache/toolweaver }
{{- end }}
{{- if $worker.warmQueries }}
- { name: warm, mountPath: /etc/toolweaver/warm, readOnly: true }
{{- end }}
{{- end -}}
