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
