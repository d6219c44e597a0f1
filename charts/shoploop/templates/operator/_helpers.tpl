{{- define "shoploop.operator.name" -}}
{{ include "shoploop.fullname" . }}-operator
{{- end -}}

{{- define "shoploop.operator.selectorLabels" -}}
{{ include "shoploop.selectorLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "shoploop.operator.serviceAccountName" -}}
{{ default (include "shoploop.operator.name" .) .Values.serviceAccount.name }}
{{- end -}}

{{- define "shoploop.operator.networkEnv" -}}
{{- $proxy := .Values.proxy -}}
{{- range $pair := list (list "HTTP_PROXY" $proxy.httpProxy) (list "HTTPS_PROXY" $proxy.httpsProxy) -}}
{{- if index $pair 1 }}
- name: {{ index $pair 0 }}
  value: {{ index $pair 1 | quote }}
{{- end }}
{{- end }}
{{- if or $proxy.httpProxy $proxy.httpsProxy }}
- name: NO_PROXY
  value: {{ prepend (without (splitList "," $proxy.noProxy) "") "localhost,127.0.0.1,kubernetes.default,.svc,.cluster.local" | join "," | quote }}
{{- end }}
{{- if .Values.privateCA.configMapName }}
{{- range list "SSL_CERT_FILE" "AWS_CA_BUNDLE" "REQUESTS_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/shoploop/ca/ca.crt
{{- end }}
{{- end }}
{{- end -}}
