{{/* What pods of every kind have in common; workers and stores add the rest. */}}

{{/* Takes "user" too. */}}
{{- define "toolweaver.pod.common" -}}
serviceAccountName: {{ include "toolweaver.name" (omit . "name") }}
automountServiceAccountToken: false
# Services' addresses come by DNS; as environment they could be taken for settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods run. Takes "nodeSelector" and "tolerations" too. */}}
{{- define "toolweaver.pod.placement" -}}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.root.Values.topologySpread }}
    labelSelector:
      matchLabels: {{- include "toolweaver.selectorLabels" $ | nindent 8 }}
    {{- if $.deployment }}
    # Pods of the version that is on its way out do not count.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "toolweaver.pod.metadata" -}}
# Without the versions of chart and application: they would restart data stores with every release.
labels: {{- merge (include "toolweaver.selectorLabels" . | fromYaml) .values.podLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .values.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "toolweaver.container.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{/* A volume of a StatefulSet's pods. Takes "volume" (its name) too. */}}
{{- define "toolweaver.volumeClaim" -}}
- metadata: { name: {{ .volume }} }
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .values.storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources: { requests: { storage: {{ .values.storage.size }} } }
{{- end -}}

{{- define "toolweaver.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
# Nothing here asks anything of the Kubernetes API: no token, no role.
automountServiceAccountToken: false
{{- end -}}

{{/* Takes "budget" too. */}}
{{- define "toolweaver.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "toolweaver.metadata" . | nindent 2 }}
spec:
  {{- toYaml (omit .budget "enabled") | nindent 2 }}
  # A pod that is not ready serves nobody, and holds up no node's drain.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "toolweaver.selectorLabels" . | nindent 6 }}
{{- end -}}
