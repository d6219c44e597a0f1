{{- define "recommender.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "recommender.name" -}}
{{ default .Release.Name .Values.recommender.name }}
{{- end -}}

{{/* Immutable after install: never put a version in here. */}}
{{- define "recommender.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "recommender.labels" -}}
{{ include "recommender.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: shoploop
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
shoploop.io/recommender: {{ include "recommender.name" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What every object has below its name. Called with a list: the root, the component, and the object's own annotations. */}}
{{- define "recommender.metadata" -}}
{{- $root := index . 0 -}}
{{- $annotations := merge (dict) (index . 2) $root.Values.commonAnnotations -}}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "recommender.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ index . 1 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.recommender.uid }}
ownerReferences:
  - apiVersion: shoploop.io/v1alpha1
    kind: Recommender
    name: {{ include "recommender.name" $root }}
    uid: {{ . }}
    controller: true
{{- end }}
{{- end -}}

{{- define "recommender.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}

{{- define "recommender.serviceAccountName" -}}
{{ default (include "recommender.predictor.name" .) .Values.serviceAccount.name }}
{{- end -}}

{{/* Checks that values.schema.json cannot express: combinations. */}}
{{- define "recommender.checks" -}}
{{- $v := .Values -}}
{{- range $key := list "id" "bento" "digest" -}}
{{- if not (get $v.version $key) -}}
{{- fail (printf "version.%s is required: name the model version, the URL of its Bento and the Bento's SHA-256 (shoploop versions NAME lists them)." $key) -}}
{{- end -}}
{{- end -}}
{{- if and $v.promotions.follow (not $v.store.uri) -}}
{{- fail "promotions.follow follows the store's logs: set store.uri." -}}
{{- end -}}
{{- $local := hasPrefix "file://" $v.version.bento -}}
{{- if and $local (not $v.store.claimName) -}}
{{- fail "store.claimName is required for a file:// store: name the ReadWriteMany claim that holds it." -}}
{{- end -}}
{{- if and $local (not (hasPrefix (printf "%s/" (trimSuffix "/" $v.store.uri)) $v.version.bento)) -}}
{{- fail (printf "version.bento %s does not lie in store.uri %s, the path at which the claim %s is mounted." $v.version.bento $v.store.uri $v.store.claimName) -}}
{{- end -}}
{{- if and (has $v.signing.policy (list "Require" "Warn")) (not $v.signing.publicKeys) -}}
{{- fail (printf "signing.policy %s asks for signatures, and signing.publicKeys is empty: name the keys that are trusted." $v.signing.policy) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (kindIs "invalid" $v.replicas)) -}}
{{- fail "replicas and autoscaling exclude each other: set replicas to null, or autoscaling.enabled to false." -}}
{{- end -}}
{{- if gt (int $v.autoscaling.min) (int $v.autoscaling.max) -}}
{{- fail (printf "autoscaling.min %d must not exceed autoscaling.max %d." (int $v.autoscaling.min) (int $v.autoscaling.max)) -}}
{{- end -}}
{{- include "recommender.accessChecks" . -}}
{{- $log := $v.online.log -}}
{{- if $v.redis.enabled -}}
{{- if ne $log.type "Redis" -}}
{{- fail "redis.enabled brings a Redis for the event log: set online.log.type to Redis, or redis.enabled to false." -}}
{{- end -}}
{{- if or $log.connection $log.tls.enabled -}}
{{- fail "redis.enabled and online.log.connection exclude each other, and so do online.log.tls and the Redis that is brought, which is reached within the namespace: name one of the two." -}}
{{- end -}}
{{- end -}}
{{- if and (has $log.type (list "Redis" "Kafka")) (not (or $log.connection $v.redis.enabled)) -}}
{{- fail (printf "online.log.connection is empty: name the address of %s, host:port." $log.type) -}}
{{- end -}}
{{- if eq $log.type "Sqlite" -}}
{{- if or $v.autoscaling.enabled (gt (int $v.replicas) 1) -}}
{{- fail "online.log.type Sqlite serves one pod: set replicas to 1 without autoscaling, or use Redis or Kafka." -}}
{{- end -}}
{{- if not $log.claimName -}}
{{- fail "online.log.claimName is empty: name the claim that keeps the file of a log of type Sqlite." -}}
{{- end -}}
{{- end -}}
{{- if and $log.type (not $v.online.keys.impressionsSecretName) -}}
{{- fail "online.keys.impressionsSecretName is empty: with online.log answers are signed; name the Secret with a key, NAME.key, of 32 random bytes in base64." -}}
{{- end -}}
{{- if $v.online.enabled -}}
{{- if not $log.type -}}
{{- fail "online.enabled learns from the event log: set online.log.type, to Redis or Kafka, or for one pod to Sqlite." -}}
{{- end -}}
{{- if not $v.store.uri -}}
{{- fail "online.enabled keeps what is learned in the store: set store.uri." -}}
{{- end -}}
{{- if and $v.signing.publicKeys (has (default "Require" $v.signing.policy) (list "Require")) (not $v.signing.privateKey.secretName) -}}
{{- fail "online.enabled and signing.policy Require need signing.privateKey: name the Secret with the key that the learner signs with." -}}
{{- end -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: name at least one host, or set ingress.enabled to false." -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is empty: name the Gateway, or set httpRoute.enabled to false." -}}
{{- end -}}
{{- end -}}
