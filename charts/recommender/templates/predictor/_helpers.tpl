{{- define "recommender.predictor.name" -}}
{{ include "recommender.fullname" . }}-predictor
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
{{- if .Values.privateCA.configMapName }}
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
      name: {{ $store.secretName }}
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

{{/* Where impressions and events go, as the predictor reads it (FeedbackSettings); nothing in it is secret. */}}
{{- define "recommender.feedback" -}}
{{- $log := .Values.online.log -}}
{{- $told := dict "type" $log.type -}}
{{- if ne $log.type "Sqlite" -}}
{{- $_ := set $told "connection" $log.connection -}}
{{- $_ := set $told "saslMechanism" $log.saslMechanism -}}
{{- with $log.secretName }}{{ $_ := set $told "secretRef" (dict "name" .) }}{{ end -}}
{{- if $log.tls.enabled -}}
{{- $tls := dict -}}
{{- with $log.tls.caSecretName }}{{ $_ := set $tls "caRef" (dict "name" . "key" $log.tls.caKey) }}{{ end -}}
{{- $_ := set $told "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- dict "recommender" (include "recommender.name" .) "log" $told "folder" "/var/lib/shoploop-events" "keys" "/etc/shoploop/keys" "access" "/etc/shoploop/log" | toJson -}}
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
{{- if eq $online.log.type "Sqlite" }}
- {name: events, mountPath: /var/lib/shoploop-events}
{{- else if or $online.log.secretName (and $online.log.tls.enabled $online.log.tls.caSecretName) }}
- {name: log-access, mountPath: /etc/shoploop/log, readOnly: true}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "recommender.feedbackVolumes" -}}
{{- $online := .Values.online -}}
{{- $tls := $online.log.tls -}}
{{- if $online.log.type -}}
{{- range $kind := list "impressions" "server" "publishable" }}
{{- with get $online.keys (printf "%sSecretName" $kind) }}
- name: keys-{{ $kind }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- if eq $online.log.type "Sqlite" }}
- name: events
  persistentVolumeClaim: {claimName: {{ $online.log.claimName }}}
{{- else if or $online.log.secretName (and $tls.enabled $tls.caSecretName) }}
- name: log-access
  projected:
    defaultMode: 0440
    sources:
      {{- with $online.log.secretName }}
      - secret: {name: {{ . }}}
      {{- end }}
      {{- if and $tls.enabled $tls.caSecretName }}
      - secret:
          name: {{ $tls.caSecretName }}
          items:
            - {key: {{ $tls.caKey | quote }}, path: ca.crt}
      {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Ports of the log's server, where there is one. */}}
{{- define "recommender.logPorts" -}}
{{- $log := .Values.online.log -}}
{{- if has $log.type (list "Redis" "Kafka") -}}
{{- $ports := list -}}
{{- range splitList "," $log.connection -}}
{{- $found := regexFind ":[0-9]+(/|$)" . | trimPrefix ":" | trimSuffix "/" -}}
{{- $ports = append $ports (default (ternary "6379" "9092" (eq $log.type "Redis")) $found) -}}
{{- end -}}
{{- join "," (uniq $ports) -}}
{{- end -}}
{{- end -}}
