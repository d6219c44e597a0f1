{{- define "recommender.redis.name" -}}
{{ include "recommender.fullname" . }}-redis
{{- end -}}

{{- define "recommender.redis.selectorLabels" -}}
{{ include "recommender.selectorLabels" . }}
app.kubernetes.io/component: redis
{{- end -}}

{{- define "recommender.redis.secretName" -}}
{{ default (include "recommender.redis.name" .) .Values.online.log.secretName }}
{{- end -}}

{{/* Where the log is, and the Secret that proves us to it: the Redis that is brought, or what the values name. */}}
{{- define "recommender.log.connection" -}}
{{- if .Values.redis.enabled -}}
{{ include "recommender.redis.name" . }}:6379
{{- else -}}
{{ .Values.online.log.connection }}
{{- end -}}
{{- end -}}

{{- define "recommender.log.secretName" -}}
{{- if .Values.redis.enabled -}}
{{ include "recommender.redis.secretName" . }}
{{- else -}}
{{ .Values.online.log.secretName }}
{{- end -}}
{{- end -}}

{{- define "recommender.redis.ping" -}}
REDISCLI_AUTH="$(cat /etc/shoploop/redis/password)" redis-cli ping | grep -q PONG
{{- end -}}
