{{- define "recommender.predictor.name" -}}
{{ include "recommender.fullname" . }}-predictor
{{- end -}}

{{- define "recommender.updater.name" -}}
{{ include "recommender.fullname" . }}-updater
{{- end -}}

{{- define "recommender.predictor.selectorLabels" -}}
{{ include "recommender.selectorLabels" . }}
app.kubernetes.io/component: predictor
{{- end -}}

{{/* Restricted Pod Security, for every container. */}}
{{- define "recommender.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "recommender.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .Values.user }}
runAsGroup: {{ .Values.user }}
fsGroup: {{ .Values.user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Proxy and private authority, wherever something connects to the outside. */}}
{{- define "recommender.networkEnv" -}}
{{- $proxy := .Values.proxy -}}
{{- range $pair := list (list "HTTP_PROXY" $proxy.httpProxy) (list "HTTPS_PROXY" $proxy.httpsProxy) -}}
{{- if index $pair 1 }}
- name: {{ index $pair 0 }}
  value: {{ index $pair 1 | quote }}
{{- end }}
{{- end }}
{{- if or $proxy.httpProxy $proxy.httpsProxy }}
- name: NO_PROXY
  value: {{ prepend (without (splitList "," $proxy.noProxy) "") "localhost,127.0.0.1,.svc,.cluster.local" | join "," | quote }}
{{- end }}
{{- if or .Values.privateCA.configMapName .Values.privateCA.secretName }}
{{- range list "SSL_CERT_FILE" "AWS_CA_BUNDLE" "REQUESTS_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/shoploop/ca/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "recommender.storeEnv" -}}
{{- $store := .Values.store -}}
{{- if $store.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ $store.endpoint | quote }}
{{- if hasPrefix "http://" $store.endpoint }}
- name: AWS_ALLOW_HTTP
  value: "true"
{{- end }}
{{- end }}
{{- if $store.region }}
- name: AWS_REGION
  value: {{ $store.region | quote }}
{{- end }}
{{- if $store.secretName }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $store.secretName | quote }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whose signatures the init container trusts. They stand in the template, so that other keys make other pods. */}}
{{- define "recommender.signingEnv" -}}
{{- $signing := .Values.signing -}}
{{- if $signing.publicKeys }}
- name: SHOPLOOP_TRUSTED_KEYS
  value: {{ join "\n" $signing.publicKeys | quote }}
- name: SHOPLOOP_SIGNING_POLICY
  value: {{ default "Require" $signing.policy }}
{{- end }}
{{- end -}}

{{/* Whether the pods mount the claim of a file:// store. */}}
{{- define "recommender.storePath" -}}
{{- if .Values.store.claimName -}}
{{ trimPrefix "file://" .Values.store.uri | trimSuffix "/" }}
{{- end -}}
{{- end -}}

{{/* Where pods are, and with whose right to pull. */}}
{{- define "recommender.placement" -}}
{{- $v := .Values -}}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.placement.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $v.placement.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.placement.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The container that fetches, verifies and unpacks the Bento. Called with a list: the root, and whether the pod answers: what
answers are like is nothing to a learner, which a change of it leaves alone. */}}
{{- define "recommender.fetch" -}}
{{- $root := index . 0 -}}
{{- $v := $root.Values -}}
- name: fetch
  image: {{ include "recommender.image" $root | quote }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  args:
    - python
    - -m
    - shoploop.packaging.fetch
    - {{ printf "--bento=%s" $v.version.bento | quote }}
    - --digest={{ $v.version.digest }}
    - --recommender={{ include "recommender.name" $root }}
    - --version={{ $v.version.id }}
    - --into=/bento/content
    {{- if index . 1 }}
    {{- include "recommender.answers" $root | nindent 4 }}
    {{- end }}
  {{- with printf "%s%s%s" (include "recommender.storeEnv" $root) (include "recommender.signingEnv" $root) (include "recommender.networkEnv" $root) | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- include "recommender.containerSecurity" $root | nindent 4 }}
  resources:
    requests: {cpu: 100m, memory: 128Mi}
    limits: {memory: 512Mi}
  volumeMounts:
    - {name: bento, mountPath: /bento}
    {{- include "recommender.storeMounts" (list $root true) | nindent 4 }}
{{- end -}}

{{/* Temporary files, and what it takes to reach the store. Called with a list: the root, and whether it is only read. */}}
{{- define "recommender.storeMounts" -}}
{{- $root := index . 0 -}}
- {name: tmp, mountPath: /tmp}
{{- with include "recommender.storePath" $root }}
- {name: store, mountPath: {{ . | quote }}, readOnly: {{ index $ 1 }}}
{{- end }}
{{- if or $root.Values.privateCA.configMapName $root.Values.privateCA.secretName }}
- {name: ca, mountPath: /etc/shoploop/ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* Called with a list: the root, and whether somebody writes the store. */}}
{{- define "recommender.storeVolumes" -}}
{{- $v := (index . 0).Values -}}
{{- with $v.store.claimName }}
- name: store
  persistentVolumeClaim: {claimName: {{ . | quote }}, readOnly: {{ not (index $ 1) }}}
{{- end }}
{{- with $v.privateCA.secretName }}
- name: ca
  secret:
    secretName: {{ . | quote }}
    items:
      - {key: {{ $v.privateCA.key | quote }}, path: ca.crt}
{{- else }}
{{- with $v.privateCA.configMapName }}
- name: ca
  configMap:
    name: {{ . | quote }}
    items:
      - {key: {{ $v.privateCA.key | quote }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* The log, as spec.online.log has it; nothing in it is secret. */}}
{{- define "recommender.log" -}}
{{- $log := .Values.online.log -}}
{{- $told := dict "type" $log.type -}}
{{- if ne $log.type "Sqlite" -}}
{{- $_ := set $told "connection" (include "recommender.log.connection" .) -}}
{{- $_ := set $told "saslMechanism" $log.saslMechanism -}}
{{- with $log.prefix }}{{ $_ := set $told "prefix" . }}{{ end -}}
{{- with include "recommender.log.secretName" . }}{{ $_ := set $told "secretRef" (dict "name" .) }}{{ end -}}
{{- if $log.tls.enabled -}}
{{- $tls := dict -}}
{{- with $log.tls.caSecretName }}{{ $_ := set $tls "caRef" (dict "name" . "key" $log.tls.caKey) }}{{ end -}}
{{- $_ := set $told "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- $told | toJson -}}
{{- end -}}

{{/* Where impressions and events go, as the predictor reads it (FeedbackSettings). */}}
{{- define "recommender.feedback" -}}
{{- dict "recommender" (include "recommender.name" .) "log" (include "recommender.log" . | fromJson) "folder" "/var/lib/shoploop-events" "keys" "/etc/shoploop/keys" "access" "/etc/shoploop/log" | toJson -}}
{{- end -}}

{{/* What reads the log mounts of it. */}}
{{- define "recommender.logMounts" -}}
{{- $log := .Values.online.log -}}
{{- if eq $log.type "Sqlite" }}
- {name: events, mountPath: /var/lib/shoploop-events}
{{- else if or (include "recommender.log.secretName" .) (and $log.tls.enabled $log.tls.caSecretName) }}
- {name: log-access, mountPath: /etc/shoploop/log, readOnly: true}
{{- end }}
{{- end -}}

{{- define "recommender.logVolumes" -}}
{{- $log := .Values.online.log -}}
{{- $tls := $log.tls -}}
{{- if eq $log.type "Sqlite" }}
- name: events
  persistentVolumeClaim: {claimName: {{ $log.claimName | quote }}}
{{- else if or (include "recommender.log.secretName" .) (and $tls.enabled $tls.caSecretName) }}
- name: log-access
  projected:
    defaultMode: 0440
    sources:
      {{- with include "recommender.log.secretName" . }}
      - secret:
          name: {{ . | quote }}
          {{- if $.Values.redis.enabled }}
          items: # the Redis that is brought knows no users
            - {key: password, path: password}
          {{- end }}
      {{- end }}
      {{- if and $tls.enabled $tls.caSecretName }}
      - secret:
          name: {{ $tls.caSecretName | quote }}
          items:
            - {key: {{ $tls.caKey | quote }}, path: ca.crt}
      {{- end }}
{{- end }}
{{- end -}}

{{/* What the server mounts of the log and its keys: pairs of a volume's name and its place. */}}
{{- define "recommender.feedbackMounts" -}}
{{- $online := .Values.online -}}
{{- if $online.log.type -}}
{{- range $kind := list "impressions" "server" "publishable" }}
{{- if get $online.keys (printf "%sSecretName" $kind) }}
- {name: keys-{{ $kind }}, mountPath: /etc/shoploop/keys/{{ $kind }}, readOnly: true}
{{- end }}
{{- end }}
{{- include "recommender.logMounts" . }}
{{- end -}}
{{- end -}}

{{- define "recommender.feedbackVolumes" -}}
{{- $online := .Values.online -}}
{{- if $online.log.type -}}
{{- range $kind := list "impressions" "server" "publishable" }}
{{- with get $online.keys (printf "%sSecretName" $kind) }}
- name: keys-{{ $kind }}
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- include "recommender.logVolumes" . }}
{{- end -}}
{{- end -}}

{{/* Ports of the log's server, where there is one. */}}
{{- define "recommender.logPorts" -}}
{{- $log := .Values.online.log -}}
{{- if has $log.type (list "Redis" "Kafka") -}}
{{- $ports := list -}}
{{- range splitList "," (include "recommender.log.connection" .) -}}
{{- $found := regexFind ":[0-9]+(/|$)" . | trimPrefix ":" | trimSuffix "/" -}}
{{- $ports = append $ports (default (ternary "6379" "9092" (eq $log.type "Redis")) $found) -}}
{{- end -}}
{{- join "," (uniq $ports) -}}
{{- end -}}
{{- end -}}

{{/* Egress that is closed but for what the values name, and for the log. */}}
{{- define "recommender.egress" -}}
{{- with .Values.networkPolicy.egress -}}
{{ toYaml . }}
{{- with include "recommender.logPorts" $ }}
- ports:
    {{- range splitList "," . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with $.Values.online.log.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether pods follow the store by themselves: who serves, who is tried, what is learned. */}}
{{- define "recommender.follows" -}}
{{- if or .Values.promotions.follow .Values.online.enabled }}true{{ end }}
{{- end -}}

{{/* What the spec says today about answers, for whoever unpacks a Bento. */}}
{{- define "recommender.answers" -}}
{{- $v := .Values -}}
- --deadline-milliseconds={{ $v.deadlineMilliseconds }}
- {{ printf "--item-fields=%s" (join "," $v.itemFields) | quote }}
- {{ printf "--allowed-origins=%s" (join "," $v.allowedOrigins) | quote }}
- {{ printf "--list-rules=%s" (toJson $v.listRules) | quote }}
{{- end -}}

{{/* The sidecar that follows the store: who serves, who is tried, what was learned. It starts before the server, so that this
begins with the newest, and it only reads the store. */}}
{{- define "recommender.updater" -}}
{{- $v := .Values -}}
- name: updater
  image: {{ include "recommender.image" . | quote }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  restartPolicy: Always
  args:
    - python
    - -m
    {{- if $v.promotions.follow }}
    - shoploop.packaging.pod_updater
    - --recommender={{ include "recommender.name" . }}
    - --version={{ $v.version.id }}
    - --bento=/bento/content
    - {{ printf "--store=%s" $v.store.uri | quote }}
    - --lineup=/var/lib/shoploop-lineup
    - --into=/var/lib/shoploop-updates
    {{- if $v.online.enabled }}
    - --learns
    {{- end }}
    {{- include "recommender.answers" . | nindent 4 }}
    {{- else }}
    - shoploop.online.updater_process
    - --recommender={{ include "recommender.name" . }}
    - --version={{ $v.version.id }}
    - {{ printf "--store=%s" $v.store.uri | quote }}
    - --into=/var/lib/shoploop-updates
    {{- end }}
    - --port=9101
  {{- with printf "%s%s%s" (include "recommender.storeEnv" .) (include "recommender.signingEnv" .) (include "recommender.networkEnv" .) | trim }}
  env:
    {{- . | nindent 4 }}
  {{- end }}
  ports:
    - {name: updater, containerPort: 9101, protocol: TCP}
  # Once it has looked, whatever it found: a store that is away keeps no pod from serving.
  startupProbe:
    httpGet: {path: /startz, port: updater}
    periodSeconds: 1
    failureThreshold: 120
    timeoutSeconds: 2
  livenessProbe:
    httpGet: {path: /livez, port: updater}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 3
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- include "recommender.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $v.promotions.updater.resources | nindent 4 }}
  volumeMounts:
    - {name: updates, mountPath: /var/lib/shoploop-updates}
    {{- if $v.promotions.follow }}
    - {name: bento, mountPath: /bento, readOnly: true}
    - {name: lineup, mountPath: /var/lib/shoploop-lineup}
    {{- end }}
    {{- include "recommender.storeMounts" (list . true) | nindent 4 }}
{{- end -}}
