{{/* Who may ask, as the predictor reads it (AccessSettings); nothing in it is secret. */}}
{{- define "recommender.access" -}}
{{- $tokens := .Values.access.tokens -}}
{{- $told := dict "folder" "/etc/shoploop/access" -}}
{{- if $tokens.issuer -}}
{{- $_ := set $told "tokens" (dict "issuer" $tokens.issuer "audience" $tokens.audience "algorithms" $tokens.algorithms "skewSeconds" (int $tokens.skewSeconds)) -}}
{{- end -}}
{{- $told | toJson -}}
{{- end -}}

{{- define "recommender.accessVolumes" -}}
{{- $access := .Values.access -}}
{{- if $access.enabled -}}
- name: access
  projected:
    defaultMode: 0440
    sources:
      {{- with $access.keysSecretName }}
      - secret: {name: {{ . | quote }}}
      {{- end }}
      {{- if $access.tokens.issuer }}
      - secret:
          name: {{ $access.tokens.jwksSecretName | quote }}
          items:
            - {key: {{ $access.tokens.jwksKey | quote }}, path: jwks.json}
      {{- end }}
{{- end }}
{{- end -}}

{{/* Combinations that values.schema.json cannot express. */}}
{{- define "recommender.accessChecks" -}}
{{- $access := .Values.access -}}
{{- $tokens := $access.tokens -}}
{{- if $access.enabled -}}
{{- if not (or $access.keysSecretName $tokens.issuer) -}}
{{- fail "access.enabled asks for keys or tokens, and there are none: set access.keysSecretName, access.tokens.issuer, or both." -}}
{{- end -}}
{{- if and $tokens.issuer (not (and $tokens.audience $tokens.algorithms $tokens.jwksSecretName)) -}}
{{- fail "access.tokens needs issuer, audience, algorithms and jwksSecretName: set what is empty." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of the Service of that port. */}}
{{- define "recommender.admin.name" -}}
{{ include "recommender.fullname" . }}-admin
{{- end -}}

{{/* The port that has /metrics and /load, by its name. */}}
{{- define "recommender.adminPort" -}}
{{ ternary "http" "admin" .Values.admin.onPublicPort }}
{{- end -}}
